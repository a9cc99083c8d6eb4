#!/usr/bin/env python3
"""Measures Tessera side by side with the tools that everybody has: `make bench`, `bench-trust`, `bench-chat` and
`bench-large`.

    Benchmarks/run.py --bin-dir .build/release [--group trust | --only NAME…] [--seconds 10] [--rounds 5]
    Benchmarks/run.py --large …

The exit status is 1 when a figure that must be reached was not, 2 when something could not be measured.
docs/benchmarks.md tells what is measured and how to read it.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import growth
from cluster import BenchError, Cluster
from report import Report
from rows import GROUPS, ROWS, Stage


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True, help="where tessera and storage-bench are")
    parser.add_argument("--group", choices=GROUPS, default="storage", help="which rows, unless they are named")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help=f"{', '.join(ROWS)}; with --large "
                        f"{', '.join(growth.ROWS)}")
    parser.add_argument("--seconds", type=int, default=10, help="of one run")
    parser.add_argument("--rounds", type=int, default=5, help="how often the contenders take turns")
    parser.add_argument("--rows", type=int, default=100_000, help="users and sessions of make bench")
    parser.add_argument("--large", action="store_true", help="measure growth on the big set, which is built once")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path(".bench"), help="where the big set is kept")
    parser.add_argument("--scale", type=float, default=1.0, help="of the big set: 0.05 tries it out")
    options = parser.parse_args()
    known = growth.ROWS if options.large else ROWS
    for name in options.only:
        if name not in known:
            parser.error(f"no row {name}: {', '.join(known)}")
    if options.seconds < 1 or options.rounds < 1 or options.rows < 1000:
        parser.error("at least one second, one round and 1,000 rows")
    if not 0.01 < options.scale <= 1:
        parser.error("a scale between 0.01, at which the big set is as small as the small one, and 1")
    options.bin_dir = options.bin_dir.resolve()
    for program in ("wrk", "pgbench", "psql"):
        if not shutil.which(program):
            parser.error(f"{program} is not installed")
    return options


def measure(name, row, stage, report):
    """Lets the contenders of a row take turns, and reports."""
    with row(stage) as (contenders, goals, notes):
        rounds = []
        for turn in range(stage.rounds):
            samples = {}
            for label, run in contenders.items():
                print(f"  {name}, round {turn + 1} of {stage.rounds}: {label}", file=sys.stderr, flush=True)
                samples[label] = run()
                # What this run left for the disk is not the next one's to pay.
                stage.cluster.sql("CHECKPOINT")
            rounds.append(samples)
    notes += sorted({f"round {turn + 1}, {label}: {sample.note}" for turn, samples in enumerate(rounds)
                     for label, sample in samples.items() if sample.note})
    report.add(name, row.__doc__, rounds, goals, notes)


def main():
    options = arguments()
    began = time.monotonic()
    shown = {"seconds": options.seconds, "rounds": options.rounds, "only": options.only}
    shown |= {"scale": options.scale} if options.large else {"rows": options.rows}
    rows = growth.ROWS if options.large else ROWS
    kept = growth.folder(options) if options.large else None
    with tempfile.TemporaryDirectory(prefix="tessera-bench-files.") as folder, Cluster(kept) as cluster:
        stage = (growth.LargeStage if options.large else Stage)(cluster, options, folder)
        report = Report("bench-large" if options.large else "bench", cluster, shown)
        report.heading()
        for name in options.only or (rows if options.large else GROUPS[options.group]):
            measure(name, rows[name], stage, report)
        status = report.write()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return status


if __name__ == "__main__":
    # Ended from outside, it still takes its servers with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
