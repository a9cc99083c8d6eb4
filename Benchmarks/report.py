"""What came out: a table on standard output, and everything as JSON in Benchmarks/results/."""

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import sqlite3
import statistics
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass
class Goal:
    """A comparison of two contenders of a row. `least` bounds a ratio of rates, `most` one of p99s or another figure."""

    what: str
    of: str
    against: str
    least: float = None
    most: float = None
    stretch: float = None
    figure: str = "p99_us"


def judge(goal, rounds):
    """The median of the rounds' ratios. `rounds` is a list of {contender: Sample}."""
    if goal.least is not None:
        ratios = [round[goal.of].per_second / round[goal.against].per_second for round in rounds]
        median = statistics.median(ratios)
        met = median >= goal.least
        stretched = goal.stretch and median >= goal.stretch
    else:
        ratios = [getattr(round[goal.of], goal.figure) / getattr(round[goal.against], goal.figure) for round in rounds]
        median = statistics.median(ratios)
        met = median <= goal.most
        stretched = goal.stretch and median <= goal.stretch
    return {"goal": dataclasses.asdict(goal), "ratios": [round(ratio, 3) for ratio in ratios],
            "median": round(median, 3), "met": met, "stretch_met": bool(stretched)}


def middle(samples):
    """One sample for the table: the median of each figure, the highest memory."""
    def median(name):
        values = [getattr(sample, name) for sample in samples if getattr(sample, name) is not None]
        return statistics.median(values) if values else None
    return {name: median(name) for name in ("per_second", "p50_us", "p99_us", "rss_kib", "hwm_kib", "statements")}


def number(value, form="{:,.0f}", scale=1):
    return "–" if value is None else form.format(value / scale)


def machine(cluster, storage):
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
               platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "memory_mib": memory // 1024,
            "kernel": platform.release(), "postgresql": cluster.version(), "sqlite": sqlite3.sqlite_version,
            "load_at_start": round(os.getloadavg()[0], 2), "folder": storage}


def filesystem(folder):
    done = subprocess.run(["df", "--output=fstype", str(folder)], capture_output=True, text=True)
    return done.stdout.split()[-1] if done.returncode == 0 else "unknown"


def commit():
    done = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=40"],
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


class Report:
    def __init__(self, kind, cluster, options):
        self.kind, self.options = kind, options
        self.machine = machine(cluster, filesystem(cluster.folder))
        self.date = datetime.datetime.now(datetime.timezone.utc)
        self.commit = commit()
        self.rows, self.missed = [], 0

    def heading(self):
        m = self.machine
        print(f"{m['cpu']}, {m['cores']} cores, {m['memory_mib']} MiB, Linux {m['kernel']}, {m['folder']}; PostgreSQL "
              f"{m['postgresql']} with fsync=on, SQLite {m['sqlite']}\n{self.date:%Y-%m-%dT%H:%M:%SZ}, commit "
              f"{self.commit}; {self.options['rounds']} rounds of {self.options['seconds']} s", flush=True)

    def add(self, name, title, rounds, goals, notes):
        """Prints a row and keeps it."""
        contenders = {label: middle([round[label] for round in rounds]) for label in rounds[0]}
        judged = [judge(goal, rounds) for goal in goals]
        self.missed += sum(not one["met"] for one in judged)
        self.rows.append({"name": name, "title": title, "contenders": contenders, "goals": judged, "notes": notes,
                          "rounds": [{label: dataclasses.asdict(sample) for label, sample in round.items()}
                                     for round in rounds]})
        print(f"\n{name}: {title}")
        print(f"  {'':44}{'per second':>11}{'p50 ms':>9}{'p99 ms':>9}{'RSS MiB':>9}{'peak MiB':>9}{'stmts/op':>9}")
        for label, one in contenders.items():
            print(f"  {label:44}{number(one['per_second']):>11}{number(one['p50_us'], '{:.2f}', 1000):>9}"
                  f"{number(one['p99_us'], '{:.2f}', 1000):>9}{number(one['rss_kib'], '{:.0f}', 1024):>9}"
                  f"{number(one['hwm_kib'], '{:.0f}', 1024):>9}{number(one['statements'], '{:.2f}'):>9}")
        for one in judged:
            goal = one["goal"]
            bound = f"≥ {goal['least']}" if goal["least"] is not None else f"≤ {goal['most']}"
            stretch = f", stretch {goal['stretch']} {'met' if one['stretch_met'] else 'not met'}" if goal["stretch"] \
                else ""
            verdict = "ok  " if one["met"] else "MISS"
            print(f"  {verdict} {goal['what']}: {one['median']:.2f}× (must be {bound}{stretch})")
        for note in notes:
            print(f"       {note}")
        print(end="", flush=True)

    def write(self):
        folder = HERE / "results"
        folder.mkdir(exist_ok=True)
        path = folder / f"{self.kind}-{self.date:%Y%m%dT%H%M%SZ}.json"
        path.write_text(json.dumps({"kind": self.kind, "date": f"{self.date:%Y-%m-%dT%H:%M:%SZ}",
                                    "commit": self.commit, "machine": self.machine, "options": self.options,
                                    "missed": self.missed, "rows": self.rows}, indent=1) + "\n")
        print(f"\n{self.missed} of {sum(len(row['goals']) for row in self.rows)} goals missed; {path}")
        return 1 if self.missed else 0
