"""Samples by name, the figures that they come to, the targets, and how all of it is shown and kept."""
import collections
import json
import pathlib
import statistics

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / "build/bench"

# What a part has measured against a limit: sign is "<=" or ">=", runs is how many samples it rests on.
Target = collections.namedtuple("Target", "what value sign limit runs")


def is_met(target):
    return target.value <= target.limit if target.sign == "<=" else target.value >= target.limit


class Samples:
    """All samples of one part, in the order in which they came."""

    def __init__(self, values=None, units=None):
        self.values = values or {}
        self.units = units or {}

    def add(self, name, value, unit="us"):
        self.values.setdefault(name, []).append(value)
        self.units[name] = unit

    def median(self, name):
        return statistics.median(self.values[name])

    def percentile_99(self, name):
        ordered = sorted(self.values[name])
        return ordered[round(0.99 * (len(ordered) - 1))]

    def runs(self, *names):
        """The least that any of them has."""
        return min(len(self.values[name]) for name in names)

    def figures(self):
        return {name: {"median": self.median(name), "p99": self.percentile_99(name), "runs": len(values),
                       "unit": self.units[name]} for name, values in self.values.items()}


def show(title, conditions, samples, targets):
    print(f"\n{title}: {conditions}", flush=True)
    print(f"  {'':56}{'median':>12}{'p99':>12}{'runs':>7}")
    for name, figure in samples.figures().items():
        digits = 0 if figure["median"] >= 100 else 2
        print(f"  {name:56}{figure['median']:>12.{digits}f}{figure['p99']:>12.{digits}f}{figure['runs']:>7} {figure['unit']}")
    for target in targets:
        wanted = f"{target.sign} {target.limit:g}"
        print(f"  {target.what:66}{target.value:>8.2f}  target {wanted:8} {target.runs:>4} runs  "
              f"{'met' if is_met(target) else 'MISSED'}")


def keep(part, conditions, samples, targets):
    """build/bench/PART.json: everything that was measured."""
    rows = [{**target._asdict(), "met": is_met(target)} for target in targets]
    BENCH.mkdir(parents=True, exist_ok=True)
    (BENCH / f"{part}.json").write_text(json.dumps(
        {"conditions": conditions, "figures": samples.figures(), "targets": rows, "units": samples.units,
         "samples": samples.values}, indent=1) + "\n", encoding="utf-8")
