#!/usr/bin/env python3
"""
Runs random schedules of sim.py.

    run.py [--schedules N] [--steps N] [--seed N] [--off DEVICE[,DEVICE]] [--no-faults] [--only KIND,KIND] [--people] [--trace]
    run.py --mutations [--schedules N]      each safety device switched off in turn: every one must be caught

--people: watchlists, which are users of channels of their own, in place of channels.

The same seed gives the same run. --trace prints what happened up to the first violation.
"""
import argparse
import sys
import time
import traceback

from sim import World, Broken

# device -> what goes wrong without it
DEVICES = {
    'set': 'what is announced is the difference to what was announced, not what came in',
    'sweep': 'mirrors are compared with the authority now and then',
    'chain': 'changes are chained (seq, prev): a missed one is noticed',
    'wait_for_seq': 'a newcomer is answered when the mirror has reached its own join',
    'subscribe_first': 'a roster is fetched only after the subscription stands',
    'match_acks': 'the acknowledgement of an earlier subscription is not taken for that of a later one',
    'match_fetch': 'only the answer to the latest fetch of a roster counts',
    'fetch_after_resubscribe': 'a new subscription fetches the roster anew',
    'epoch': 'what was asked under another epoch is refused, changes of another epoch are not applied',
    'run_id': 'data that another process serves begins a new epoch',
    'settle_fetch': 'when all is settled, what was held back is fetched again before it is told',
    'buffer_first': 'what was kept while fetching is applied before anything is announced',
    'settle': 'no member is removed until all have said again what they hold',
    'continuity': 'only who was there for a whole lease may declare others dead',
    'awake': 'who has lapsed itself may not declare others dead',
    'twice': 'a lapsed lease counts when two renewals in a row have seen it',
    'spaced': 'the next renewal is counted from the answer to the last one',
    'fence': 'a dead incarnation is refused from the first batch on',
    'idempotent': 'joins and leaves may be repeated',
    'own_users': 'users with a connection here are shown here, whatever the authority says',
    'dedupe': 'numbered events: one that was sent again is dropped',
    'own_events': 'a node drops its own events',
    'check_told': 'after the data went back, the teller of webhooks looks whether what it told lately is so',
    'forget_told': 'who is not the teller any more forgets what it told',
    'self_fence': 'who tells webhooks tells nothing that it asked for too long ago: it may have been replaced',
    'recent': 'the teller of webhooks remembers what it has told lately',
    'caught_up': 'nobody is told as gone while the mirror may not have heard that the user came',
    'ask_first': 'a roster is fetched behind what is asked for the users here',
}

# faults that bring out what these are for; all together they seldom do
PAUSES = ('pause', 'resume', 'stall', 'long', 'stall', 'pause')
NAPS = ('nap', 'nap', 'long', 'blip')
AIM = {'awake': PAUSES, 'twice': NAPS}
# The first schedule of 500 steps that fails without the device: runs begin there, so that each takes a moment.
KNOWN = {'sweep': 320, 'chain': 49, 'wait_for_seq': 106, 'subscribe_first': 4, 'match_acks': 3236,
         'match_fetch': 1304, 'fetch_after_resubscribe': 14, 'settle': 115, 'continuity': 357, 'awake': 480,
         'twice': 39, 'check_told': 178, 'forget_told': 1850, 'self_fence': 950, 'recent': 35,
         'settle_fetch': 9727, 'buffer_first': 109205, 'caught_up': 94}
# An earlier version failed without 'spaced' once in 60,000 schedules; this one has not been seen to. Kept: it costs nothing.
# Without 'ask_first' a user who left while there was no link is told of once more, which is no promise that is checked here;
# unit/test_cluster_people.c does.
SPARE = ('spaced', 'ask_first')
# what these are for is promised only while nothing breaks
QUIET = ('match_acks', 'wait_for_seq', 'subscribe_first', 'caught_up')
# of watchlists
PEOPLE = ('caught_up',)
# Their schedules were found before there was 'ask_first', and are others with it.
OLDER = ('settle_fetch', 'buffer_first', 'awake')


def one(seed, off, faults, steps, kinds, keep, people=False):
    world = World(seed, off, faults, nodes=2 + seed % 2, steps=steps, kinds=kinds, keep_trace=keep, people=people)
    try:
        world.run()
    except Broken as e:
        return world, str(e)
    except Exception as e:  # a device that is off may lead into what cannot be
        if not off:
            traceback.print_exc()
        return world, '%s: %s' % (type(e).__name__, e)
    return world, None


def many(first, count, off=(), faults=True, steps=250, kinds=None, stop=True, people=False):
    broken, stats, begun = [], {}, time.time()
    done = 0
    for seed in range(first, first + count):
        world, why = one(seed, off, faults, steps, kinds, False, people)
        done += 1
        for k, v in world.stat.items():
            stats[k] = stats.get(k, 0) + v
        if why:
            broken.append((seed, why))
            if stop:
                break
    return done, broken, stats, time.time() - begun


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--schedules', type=int, default=2000)
    p.add_argument('--steps', type=int, default=250)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--off', default='')
    p.add_argument('--only', default='')
    p.add_argument('--no-faults', action='store_true')
    p.add_argument('--mutations', action='store_true')
    p.add_argument('--people', action='store_true')
    p.add_argument('--trace', action='store_true')
    p.add_argument('--all', action='store_true', help='do not stop at the first violation')
    a = p.parse_args()
    kinds = tuple(a.only.split(',')) if a.only else None
    if a.mutations:
        missed = 0
        for device, what in DEVICES.items():
            if device in SPARE:
                continue
            off = (device, 'ask_first') if device in OLDER else (device,)
            done, broken, _, took = many(KNOWN.get(device, a.seed), a.schedules, off, device not in QUIET, a.steps,
                                         kinds or AIM.get(device), people=device in PEOPLE)
            if broken:
                print('caught   %-24s after %5d schedules: seed %d: %s' % (device, done, *broken[0]), flush=True)
            else:
                missed += 1
                print('MISSED   %-24s in %d schedules (%.0f s)' % (device, done, took), flush=True)
        print('%d caught, %d missed' % (len(DEVICES) - len(SPARE) - missed, missed))
        return missed > 0
    off = tuple(d for d in a.off.split(',') if d)
    for d in off:
        if d not in DEVICES:
            sys.exit('no such device: %s' % d)
    if a.trace:
        world, why = one(a.seed, off, not a.no_faults, a.steps, kinds, True, a.people)
        print('\n'.join(world.lines))
        print(why or 'nothing broken', world.stat)
        return why is not None
    done, broken, stats, took = many(a.seed, a.schedules, off, not a.no_faults, a.steps, kinds, not a.all, a.people)
    for seed, why in broken[:20]:
        print('seed %d: %s' % (seed, why))
    print('%d schedules of %d steps in %.0f s, %d broken; %s' % (done, a.steps, took, len(broken), stats))
    return len(broken) > 0


if __name__ == '__main__':
    sys.exit(main())
