"""The tools that make load: wrk, pgbench, storage-bench and verifier-bench. Each run gives one `Sample`."""

import dataclasses
import http.client
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.parse

from cluster import BenchError

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS, THREADS = 64, 2


@dataclasses.dataclass
class Sample:
    """One run. Latencies in microseconds; what could not be known is None."""

    per_second: float
    p50_us: float
    p99_us: float
    operations: int = 0
    rss_kib: int = None
    hwm_kib: int = None
    statements: float = None
    refused: int = 0
    note: str = None


def finished(command, environment=None, timeout=None):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment,
                          timeout=timeout)
    if done.returncode != 0:
        raise BenchError(f"{command[0]} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")
    return done.stdout


def wrk_command(script, url, seconds, connections, threads, arguments):
    return ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
            "-s", str(HERE / "wrk" / f"{script}.lua"), url, "--", *map(str, arguments)]


def wrk_environment():
    return dict(os.environ, BENCH_WRK=str(HERE / "wrk"))


def wrk_sample(output, script, may_refuse=False):
    """Reads the line that wrk/done.lua prints. A wrong answer makes the whole run worthless."""
    lines = [line for line in output.splitlines() if line.startswith("BENCH ")]
    if not lines:
        raise BenchError(f"wrk {script} printed no result: {output[-1000:]}")
    result = json.loads(lines[-1][len("BENCH "):])
    wrong = {name: count for name, count in result["errors"].items()
             if count and not (may_refuse and name == "status")}
    if wrong or not result["requests"]:
        raise BenchError(f"wrk {script}: {result['requests']} requests with errors: {wrong}; {output[-600:]}")
    return Sample(result["requests"] / result["seconds"], result["p50_us"], result["p99_us"], result["requests"],
                  refused=result["errors"]["status"])


def wrk(script, url, seconds, *arguments, connections=CONNECTIONS, threads=THREADS):
    command = wrk_command(script, url, seconds, connections, threads, arguments)
    return wrk_sample(finished(command, wrk_environment(), seconds + 60), script)


def wrk_half(script, url, seconds, peak, *arguments):
    """The same load at half of a rate that was measured: as many connections, each with pauses, found by trying."""
    wanted = peak / 2
    cycle = CONNECTIONS / wanted * 1000
    pause = max(cycle - 1, 0.5)
    for _ in range(5):
        tried = wrk(script, url, 2, *arguments, f"{pause:.3f}")
        if abs(tried.per_second / wanted - 1) <= 0.05:
            break
        # What a request takes besides the pause stays about the same.
        pause = max(cycle - (CONNECTIONS / tried.per_second * 1000 - pause), 0.1)
    sample = wrk(script, url, seconds, *arguments, f"{pause:.3f}")
    share = sample.per_second / peak
    sample.note = f"{share:.0%} of the rate before it"
    if not 0.4 <= share <= 0.6:
        raise BenchError(f"wrk {script}: wanted half the load of {peak:.0f} a second and made {sample.per_second:.0f}")
    return sample


def wrk_beside(script, url, seconds, *arguments, connections=CONNECTIONS, threads=THREADS):
    """A wrk that runs beside something else; read its output with `wrk_sample`. SIGINT ends it early."""
    command = wrk_command(script, url, seconds, connections, threads, arguments)
    return subprocess.Popen(command, env=wrk_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


def pgbench(cluster, database, script, seconds, clients=CONNECTIONS, **variables):
    """pgbench with prepared statements. Latencies come from its own log, of every tenth transaction."""
    with tempfile.TemporaryDirectory(prefix="tessera-pgbench.") as folder:
        command = ["pgbench", "-n", "-M", "prepared", "-c", clients, "-j", THREADS, "-T", seconds,
                   "-f", HERE / "pgbench" / f"{script}.sql", "--log", f"--log-prefix={folder}/log",
                   "--sampling-rate=0.1", "-h", "127.0.0.1", "-p", cluster.port, "-U", "tessera"]
        for name, value in variables.items():
            command += ["-D", f"{name}={value}"]
        output = finished([*command, database], timeout=seconds + 120)
        found = {}
        for line in output.splitlines():
            if line.startswith("tps = "):
                found["tps"] = float(line.split()[2])
            elif line.startswith("number of transactions actually processed:"):
                found["operations"] = int(line.split(":")[1].split("/")[0])
            elif line.startswith("number of failed transactions:"):
                found["failed"] = int(line.split(":")[1].split()[0])
        if "tps" not in found or found.get("failed"):
            raise BenchError(f"pgbench {script}: {output[-1000:]}")
        # Columns: client, transaction, latency in microseconds, script, …
        latencies = sorted(int(line.split()[2]) for log in pathlib.Path(folder).iterdir()
                           for line in log.read_text().splitlines())
    return Sample(found["tps"], percentile(latencies, 0.5), percentile(latencies, 0.99), found["operations"])


def queries(url, paths, token, rounds=3):
    """GETs one after the other, all of `paths` each round. The p99 of the sample is a **p95** of all answers."""
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    latencies = []
    for _ in range(rounds):
        for path in paths:
            begun = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            body = answer.read()
            latencies.append((time.perf_counter() - begun) * 1e6)
            if answer.status != 200:
                raise BenchError(f"GET {path}: {answer.status} {body[:300]}")
    ordered = sorted(latencies)
    return Sample(len(latencies) / (sum(latencies) / 1e6), percentile(ordered, 0.5), percentile(ordered, 0.95),
                  len(latencies), note="p95 where others have p99")


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def storage_bench(binary, mode, database, seconds, callers=CONNECTIONS):
    output = finished([binary, mode, "--database", database, "--callers", callers, "--seconds", seconds],
                      timeout=seconds * 2 + 120)
    result = json.loads(output.strip().splitlines()[-1])
    return Sample(result["per_second"], result["p50_us"], result["p99_us"], result["operations"],
                  rss_kib=result["rss_kib"])


def verifier_bench(binary, mode, seconds):
    """One thread that verifies tokens. Memory is what 100,000 remembered ones weigh."""
    result = json.loads(finished([binary, mode, "--seconds", seconds], timeout=seconds * 2 + 120))
    note = f"{result['token_bytes']} bytes a token"
    if mode == "memory":
        note = f"{result['bytes_per_token']} bytes of memory for each of {result['cached_tokens']:,} remembered tokens"
    return Sample(result["per_second"], None, None, result["operations"], rss_kib=result["rss_kib"], note=note)


def openssl_speed(algorithm, seconds):
    """OpenSSL's own count of verifications on one core."""
    output = finished(["openssl", "speed", "-seconds", seconds, "-mr", algorithm], timeout=seconds * 4 + 60)
    # +F4:number:bits:seconds a signature:seconds a verification
    times = [line.split(":") for line in output.splitlines() if line.startswith("+F4:")]
    if not times:
        raise BenchError(f"openssl speed {algorithm}: {output[-500:]}")
    rate = float(times[-1][4])
    # Versions before 3.2 tell the rate here, later ones the time of one.
    return Sample(rate if rate > 1 else 1 / rate, None, None)
