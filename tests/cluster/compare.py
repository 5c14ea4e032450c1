#!/usr/bin/env python3
"""
The authority of the library against the model: the same random operations on both; every answer and every published
message compared after each, and the whole state every few.

    compare.py HOST [--operations N] [--seed N]       HOST: the program made of authority_host.c
"""
import argparse
import json
import random
import subprocess
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).parent / 'model'))
from authority import Partition  # noqa: E402

STEPS = {name: number for number, name in enumerate((
    'attach', 'detach', 'renew', 'synced', 'mine', 'join', 'leave', 'count', 'fetch', 'verify', 'peek', 'reap', 'tell',
    'told', 'check', 'channels', 'keep', 'rekeep', 'kept', 'once_begin', 'once_done', 'once_undo', 'order', 'orders', 'totals'), 1)}
TOPICS = {1: 't/', 2: 'p', 3: 'o'}


def to_bytes(value):
    return value.encode() if isinstance(value, str) else str(int(value)).encode()


class Library:
    """The methods of Partition, done by the library."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.out = []

    def request(self, line):
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().decode()

    def step(self, us, name, *args):
        self.out = []
        line = self.request(' '.join([str(us), str(STEPS[name])] + [to_bytes(a).hex() or '-' for a in args]))
        while line.startswith('m'):
            _, topic, key, text = line.split()
            self.out.append([TOPICS[int(topic)] + self.text(key), self.text(text)])
            line = self.process.stdout.readline().decode()
        if not line.startswith('a'):
            return [line.strip()]
        return [self.text(v) for v in line.split()[1:]]

    @staticmethod
    def text(value):
        return '' if value == '-' else bytes.fromhex(value).decode()

    def dump(self):
        return json.loads(self.request('dump'))

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


# -- what an answer of the library means in the model's form ---------------------------------------------------------

def lists(values, widths):
    """n, n items; m, m items."""
    out, at = [], 0
    for width in widths:
        n, at = int(values[at]), at + 1
        out.append([values[at + width * i:at + width * (i + 1)] for i in range(n)])
        at += width * n
    return out


def groups(values, width):
    return [values[i:i + width] for i in range(0, len(values), width)]


class Steps:
    """Each operation as the model's call, the library's step, and both answers in one form."""

    def __init__(self, model, library):
        self.m, self.lib = model, library

    def do(self, us, name, args):
        return getattr(self, name)(us, us // 1000, *args)

    def simple(self, us, name, *args):
        """Words and numbers that are the same in both."""
        want = getattr(self.m, name)(us // 1000, *args)
        return [str(v) for v in want], self.lib.step(us, name, *args)

    def attach(self, us, now, *args):
        return self.simple(us, 'attach', *args)

    def detach(self, us, now, *args):
        return self.simple(us, 'detach', *args)

    def synced(self, us, now, *args):
        return self.simple(us, 'synced', *args)

    def renew(self, us, now, *args):
        want = self.m.renew(now, *args)
        if want[0] == 'OK':
            want = ['OK', str(want[1]), str(want[2]), str(len(self.m.nodes))] + want[3]
        return want, self.lib.step(us, 'renew', *args)

    def mine(self, us, now, *args):
        want, got = self.m.mine(now, *args), self.lib.step(us, 'mine', *args)
        if got[0] == 'OK':
            held, counts = lists(got[1:], (2, 2))
            got = ['OK', sorted((c, u) for c, u in held), sorted((c, int(n)) for c, n in counts)]
        return want, got

    def join(self, us, now, inc, epoch, channel, user, info, most, force, wants):
        self.m.wants = wants
        want = self.m.join(now, inc, epoch, channel, user, info, most, force)
        return [str(v) for v in want], self.lib.step(us, 'join', inc, epoch, channel, user, info, most, force, wants)

    def leave(self, us, now, inc, epoch, channel, user, wants):
        self.m.wants = wants
        want = self.m.leave(now, inc, epoch, channel, user)
        return [str(v) for v in want], self.lib.step(us, 'leave', inc, epoch, channel, user, wants)

    def count(self, us, now, inc, epoch, wants, items):
        self.m.wants = wants
        want = self.m.count_all(now, inc, epoch, items)
        flat = [v for index, channel, n, most, publish in items
                for v in (index, channel, n, '' if most is None else most, publish)]
        return [str(v) for v in want], self.lib.step(us, 'count', inc, epoch, wants, *flat)

    def channels(self, us, now, index, prefix, limit):
        found, cursor = [], '0'
        while True:
            values = self.lib.step(us, 'channels', index, prefix, cursor, limit)
            found += groups(values[1:-1], 3)
            cursor = values[-1]
            if cursor == '0':
                break
        return self.m.channels(now, index, prefix), ['OK'] + sorted([c, int(n), int(u)] for c, n, u in found)

    def totals(self, us, now, channels):
        return [str(v) for v in self.m.totals(now, channels)], self.lib.step(us, 'totals', *channels)

    def fetch(self, us, now, *args):
        want, got = self.m.fetch(now, *args), self.lib.step(us, 'fetch', *args)
        if got[0] == 'OK':
            got = ['OK', int(got[1]), int(got[2]), sorted([u, int(s), i] for u, s, i in groups(got[3:], 3))]
        return want, got

    def verify(self, us, now, epoch, mirrors):
        want = self.m.verify(now, epoch, mirrors)
        if want[0] == 'OK':
            want = ['OK'] + want[1]
        return want, self.lib.step(us, 'verify', epoch, *[v for m in mirrors for v in m])

    def peek(self, us, now, dead, limit):
        """Which of them are named is left open."""
        held, counted = lists(self.lib.step(us, 'peek', dead, limit)[1:], (2, 1))
        have, counts = self.m.hold.get(dead, set()), self.m.counts.get(dead, {})
        return [min(limit, len(have)), min(limit, len(counts)), True], \
            [len(held), len(counted), {tuple(h) for h in held} <= have and {c for c, in counted} <= set(counts)]

    def reap(self, us, now, inc, epoch, lease, dead, wants, held, counted):
        self.m.wants = wants
        want = self.m.reap(now, inc, epoch, lease, dead, held, counted)
        got = self.lib.step(us, 'reap', inc, epoch, lease, dead, wants, len(held), *[v for h in held for v in h],
                            len(counted), *counted)
        return [str(v) for v in want], got

    def tell(self, us, now, *args):
        want = self.m.tell(now, *args)
        if want[0] == 'OK':
            want = ['OK', str(want[1])] + [v for e in want[2] for v in e]
        return want, self.lib.step(us, 'tell', *args)

    def told(self, us, now, inc, epoch, ids):
        return self.m.told(now, inc, epoch, ids), self.lib.step(us, 'told', inc, epoch, *ids)

    def check(self, us, now, epoch, keys):
        want = self.m.check(now, epoch, keys)
        if want[0] == 'OK':
            want = ['OK'] + [str(v) for k in want[1] for v in k[2:]]
        return want, self.lib.step(us, 'check', epoch, *[v for k in keys for v in k])

    def keep(self, us, now, *args):
        return [str(v) for v in self.m.keep(us, *args)], self.lib.step(us, 'keep', *args)

    def rekeep(self, us, now, *args):
        return [str(v) for v in self.m.rekeep(us, *args)], self.lib.step(us, 'rekeep', *args)

    def kept(self, us, now, *args):
        return [str(v) for v in self.m.kept_event(us, *args)], self.lib.step(us, 'kept', *args)

    def once_begin(self, us, now, *args):
        return self.simple(us, 'once_begin', *args)

    def once_done(self, us, now, *args):
        return self.simple(us, 'once_done', *args)

    def once_undo(self, us, now, *args):
        return self.simple(us, 'once_undo', *args)

    def order(self, us, now, *args):
        return self.simple(us, 'order', *args)

    def orders(self, us, now, *args):
        return self.simple(us, 'orders', *args)

    # the library's dump in the form of the model's

    def states(self):
        d = self.m.dump()
        d['edges'] = [e[1:] for e in d['edges']]
        meta, incarnations, channels, edges = self.lib.dump()
        got = {'meta': meta, 'nodes': {}, 'since': {}, 'unsynced': [], 'dying': [], 'hold': {}, 'counts': {},
               'roster': {}, 'last': {}, 'total': {}, 'edges': edges}
        for name, alive, unsynced, dying, end, since, held, counted in incarnations:
            if alive:
                got['nodes'][name], got['since'][name] = end, since
            got['unsynced'] += [name] * unsynced
            got['dying'] += [name] * dying
            if held:
                got['hold'][name] = sorted((c, u) for c, u in held)
            if counted:
                got['counts'][name] = dict(counted)
        for name, total, last, members in channels:
            if total:
                got['total'][name] = total
            if last:
                got['last'][name] = last
            if members:
                got['roster'][name] = {u: [holders, seq, info] for u, holders, seq, info in members}
        return d, got


CHANNELS = ['app/a', 'app/b', 'app/presence-ünï c:1', 'app/#u1']
USERS = ['u1', 'u2', '7', 'ü:3 \n', 'u5']
INFOS = ['{}', '{"n":"a b\\n"}', '{"x": 1 }']


class Schedule:
    """Which operation comes next."""
    TTLS = (1, 50, 500)

    def __init__(self, seed, model):
        self.rng, self.model = random.Random(seed), model
        self.us, self.fresh, self.run, self.n = 1000500, 0, 'r1', 0
        self.incs = ['n1.0', 'n2.0', 'n3.0']

    def next(self):
        rng, model = self.rng, self.model
        self.n += 1
        self.us += 1000 * (rng.choice((0, 0, 0, 1, 1, 2, 3)) if rng.random() < 0.99 else 70)
        inc = rng.choice(self.incs)
        epoch = model.epoch if rng.random() < 0.95 else 'e0'
        channel, user, wants = rng.choice(CHANNELS), rng.choice(USERS), rng.choice((0, 1, 1, 1, 2, 2))
        r = rng.random()
        if r < 0.04 or model.epoch == '' or not model.nodes:
            self.fresh += 1
            if rng.random() < 0.05:
                self.run = 'r%d' % self.fresh
            have = rng.choice(('', '', 'old', model.epoch))
            return 'attach', [inc, self.run, 60, 20, 'e%d' % self.fresh, have]
        if r < 0.18:
            return 'renew', [inc, epoch, self.run if rng.random() < 0.97 else 'other', 60, int(rng.random() < 0.9)]
        if r < 0.21:
            return 'synced', [inc, epoch]
        if r < 0.215:
            return 'detach', [inc, epoch]
        if r < 0.23:
            return 'mine', [inc, epoch]
        if r < 0.45:
            return 'join', [inc, epoch, channel, user, rng.choice(INFOS), rng.choice((2, 3, 100)),
                            int(rng.random() < 0.1), wants]
        if r < 0.66:
            return 'leave', [inc, epoch, channel, user, wants]
        if r < 0.77:
            items = [['app:p' if 'presence' in c else 'app:q' if '#' in c else 'app:o', c, rng.choice((0, 0, 1, 2, 7)),
                      rng.choice((None, None, 3, 8)), rng.randrange(2)]
                     for c in rng.choices(CHANNELS + ['app/c'], k=rng.randint(1, 4))]
            return 'count', [inc, epoch, wants, items]
        if r < 0.78:
            return 'channels', [rng.choice(('app:o', 'app:p', 'app:q')), rng.choice(('app/', 'app/b', 'x')), rng.randint(1, 3)]
        if r < 0.785:
            return 'totals', [rng.choices(CHANNELS + ['app/c'], k=rng.randint(0, 3))]
        if r < 0.81:
            return 'fetch', [epoch, channel]
        if r < 0.83:
            return 'verify', [epoch, [[c, model.last.get(c, 0) + (rng.random() < 0.3), len(model.roster.get(c, ()))]
                                      for c in CHANNELS]]
        if r < 0.88:
            dead = rng.choice(sorted(model.dying) + sorted(model.nodes) + ['n0.0'])
            if rng.random() < 0.3:
                return 'peek', [dead, rng.choice((0, 1, 20))]
            _, held, counted = model.peek(0, dead, rng.choice((1, 3, 20)))
            if rng.random() < 0.05:
                self.incs[rng.randrange(3)] = 'n%d.%d' % (rng.randrange(1, 4), self.n)
            if rng.random() < 0.1:
                held, counted = held + held[:1] + [('app/none', 'u1')], counted + ['app/none']
            return 'reap', [inc, epoch, 60, dead, wants, held, counted]
        if r < 0.90:
            ids = ['0-0', '%d-0' % (self.us // 1000)] + [e[0] for e in model.edges]
            return 'tell', [inc, epoch, rng.choice(ids), 3]
        if r < 0.91:
            return 'check', [epoch, sorted({(c, u) for c in CHANNELS for u in ('', user)})]
        if r < 0.92:
            return 'told', [inc, epoch, [e[0] for e in model.edges[:2]] + rng.choice(([], ['0-9', 'x']))]
        return self.record(rng, channel)

    def record(self, rng, channel):
        key, token = rng.choice(('k1', 'k2', 'k3')), rng.choice(('t1', 't2'))
        ttl = rng.choice(self.TTLS)
        kind = rng.randrange(8)
        return (('keep', [channel, ttl, 'E\n%d' % self.n]),
                ('rekeep', [channel, self.us + rng.choice((-5000, 0, 5000)), ttl, 'R\n%d' % self.n]),
                ('kept', [channel]),
                ('once_begin', [key, rng.choice(('c1', 'c1', 'c2')), token, ttl]),
                ('once_done', [key, token, 'answer', ttl]),
                ('once_undo', [key, token]),
                ('order', ['o%d' % self.n, rng.choice((1, 3, 10))]),
                ('orders', [rng.choice(['0-0'] + [o[0] for o in self.model.log]), rng.choice((1, 20))]))[kind]


def run(steps, schedule, operations):
    """Does them all and prints what was done, or what differs. The exit status."""
    model, library = steps.m, steps.lib
    history, published, answers = [], 0, {}

    def compare(what, want, got):
        if want == got:
            return
        print('DIFFERENT after %d operations: %s\n model:   %s\n library: %s' % (len(history), what, want, got))
        for h in history[-8:]:
            print('   ', h)
        sys.exit(1)

    for n in range(operations):
        name, args = schedule.next()
        history.append((schedule.us, name, args))
        want, got = steps.do(schedule.us, name, args)
        compare('answer of ' + name, want, got)
        compare('messages of ' + name, model.out, library.out)
        key = '%s %s' % (name, want[0] if want[0] != 'OK' and isinstance(want[0], str) else 'OK')
        answers[key] = answers.get(key, 0) + 1
        published += len(model.out)
        model.out, model.wants = [], True
        if n % 20 == 0 or n > operations - 50:
            compare('state', *steps.states())
    status = library.end()
    print('%d operations, %d messages: the library does what the model does' % (operations, published))
    print(', '.join('%s %d' % k for k in sorted(answers.items())))
    return status


def main():
    p = argparse.ArgumentParser()
    p.add_argument('host')
    p.add_argument('--operations', type=int, default=20000)
    p.add_argument('--seed', type=int, default=1)
    a = p.parse_args()
    model = Partition()
    return run(Steps(model, Library(a.host)), Schedule(a.seed, model), a.operations)


if __name__ == '__main__':
    sys.exit(main())
