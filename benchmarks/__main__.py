"""Runs every benchmark and prints its figures; docs/benchmarks.md keeps the last ones."""

from benchmarks import decoding, dedup, exporting, framework, loading, startup

if __name__ == "__main__":
    for benchmark in (startup, loading, framework, dedup, exporting, decoding):
        print(f"\n## {benchmark.__doc__.splitlines()[0]}")
        for name, figure in benchmark.measure():
            print(f"  {name:<58} {figure}")
