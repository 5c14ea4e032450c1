"""
The command line of a model: runs random schedules until one breaks a promise, or with --mutations once without each of the
devices that the model has for safety, every one of which must then be caught.

The same seed gives the same run.
"""
import argparse


class Broken(Exception):
    """A promise is broken."""


def many(run, first, count, *how):
    """How many schedules were run; what was broken, or None; the sums of what they counted."""
    stats = {}
    for seed in range(first, first + count):
        try:
            counted = run(seed, *how)
        except Broken as e:
            return seed - first + 1, 'seed %d: %s' % (seed, e), stats
        for k, v in counted.items():
            stats[k] = stats.get(k, 0) + v
    return count, None, stats


def main(run, devices, schedules, steps, calm=None, quiet=(), known=()):
    """
    run(seed, off, steps, calm) is one schedule without the devices in `off`; returns what it has counted, or raises Broken.
    devices   by name
    steps     of a schedule; None = they are the model's own
    calm      the option, and its meaning, under which some faults do not happen; None = there is none
    quiet     devices whose promises hold only then
    known     device -> the seed to begin with, so that it takes a moment
    Returns whether something is wrong.
    """
    p = argparse.ArgumentParser()
    p.add_argument('--schedules', type=int, default=schedules)
    if steps:
        p.add_argument('--steps', type=int, default=steps)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--off', default='', help='devices to leave out: ' + ', '.join(devices))
    p.add_argument('--mutations', action='store_true')
    if calm:
        p.add_argument(calm[0], dest='calm', action='store_true', help=calm[1])
    p.set_defaults(calm=False, steps=steps)
    a = p.parse_args()
    off = tuple(d for d in a.off.split(',') if d)
    for d in off:
        if d not in devices:
            p.error('no such device: %s' % d)
    if a.mutations:
        missed = 0
        for device in devices:
            n, why, stats = many(run, dict(known).get(device, a.seed), a.schedules, (device,), a.steps, device in quiet)
            missed += why is None
            print('%s %-18s after %5d schedules: %s' % ('caught' if why else 'MISSED', device, n, why or stats))
        return missed > 0
    n, why, stats = many(run, a.seed, a.schedules, off, a.steps, a.calm)
    print('%d schedules%s: %s; %s' % (n, ' of %d steps' % a.steps if a.steps else '', why or 'none broken', stats))
    return why is not None
