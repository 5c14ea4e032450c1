#!/usr/bin/env python3
"""
Orders that all nodes carry out (re-authorize, unsubscribe, terminate): a log, a topic, answers, and done().

Checked: once done() was called with all answers, no node that believes its link to be up has not carried the order
out, then and for ever after; and done() is called within its bound. Nodes pause, die, lose connections and messages; the
server loses its last writes.

    orders.py [--schedules N] [--steps N] [--seed N] [--off NAME] [--mutations]
"""
import random
import sys

import schedules
from schedules import Broken

LEASE, RENEW, BOUND, DELAY = 60, 20, 50, 6
KEPT = 4   # orders in the log


DEVICES = {
    'ask_live': 'done waits for all nodes that are live, not only for those who happen to answer',
    'read_first': 'who attaches again reads what it has missed before its link is up',
    'gap': 'an order that does not follow the last one done: read what is between',
    'self_fence': 'without a confirmed renewal for a lease a node does not believe its link to be up',
    'recheck': 'the last order done is not in the log any more: ask everything again',
    'away': 'away for a lease, and the data is another: ask everything again',
    'again': 'with each renewal an order that is not answered is given again; tried where messages vanish and nothing else happens',
}
# not tried by --mutations, for without it orders are only answered "incomplete" more often: 'order_again'


class Server:
    def __init__(self, run, log=(), nodes=()):
        self.run, self.log, self.nodes = run, list(log), dict(nodes)
        self.next = 1000 * run
        self.listeners = []   # (conn, node)

    def last(self):
        return self.log[-1][0] if self.log else 0


class Node:
    def __init__(self, world, name):
        self.world, self.name, self.nth = world, name, 0
        self.state, self.link = 'running', 'down'
        self.up, self.down, self.push = [], [], []
        self.server = None
        self.last, self.fresh, self.run = 0, True, None
        self.done = set(range(world.keys))   # it begins with the host's facts of now
        self.confirmed = -LEASE
        self.pending = {}
        self.renew_at = 0
        self.connect()

    def on(self, device):
        return device not in self.world.off

    @property
    def inc(self):
        return '%s.%d' % (self.name, self.nth)

    def believes(self):
        fresh = self.world.now - self.confirmed < LEASE or not self.on('self_fence')
        return self.link == 'up' and fresh

    def ask(self, what, arg=None):
        self.up.append((self.world.now, what, arg))

    def connect(self):
        self.server, self.link = self.world.server, 'attaching'
        self.up, self.down, self.push = [], [], []
        self.ask('subscribe')
        self.ask('attach')

    def lose(self):
        if self.server:
            self.server.listeners = [n for n in self.server.listeners if n is not self]
        self.server, self.link = None, 'down'
        self.up, self.down, self.push = [], [], []
        for p in self.pending.values():
            if p['id'] is None:
                p['asked'] = False

    def order(self):
        key = self.world.keys
        self.world.keys += 1
        self.done.add(key)
        self.pending[key] = {'id': None, 'asked': False, 'missing': None, 'answered': {self.name}, 'until': self.world.now + BOUND * (3 if self.world.mild else 1)}
        self.work()

    def work(self):
        for key, p in list(self.pending.items()):
            if self.link == 'up' and not p['asked']:
                p['asked'] = True
                self.ask('order', key)
            if p['missing'] is not None and not p['missing']:
                del self.pending[key]
                self.world.complete(key)
            elif self.world.now >= p['until']:
                del self.pending[key]
                self.world.stat['incomplete'] += 1
                if self.world.mild:
                    raise Broken('an order is not answered by all, and all are there')

    def execute(self, key, origin):
        self.done.add(key)
        if origin != self.name:
            self.ask('tell', (origin, ('answer', key, self.inc)))
        else:
            self.answered(key, self.inc)

    def answered(self, key, inc):
        p = self.pending.get(key)
        if p:
            p['answered'].add(inc.split('.')[0])
            if p['missing'] is not None:
                p['missing'] = {i for i in p['missing'] if i.split('.')[0] not in p['answered']}
        self.work()

    def heard(self, message):
        kind = message[0]
        if kind == 'order':
            _, ident, prev, key, origin = message
            if ident <= self.last:
                self.execute(key, origin)
            elif prev == self.last or not self.on('gap'):
                self.last = ident
                self.execute(key, origin)
            else:
                self.ask('since', self.last)
        else:
            self.answered(message[1], message[2])

    def result(self, what, arg, r):
        if what == 'attach':
            if r[0] == 'FENCED':
                self.nth += 1
                self.ask('attach')
                return
            if self.fresh:
                self.fresh, self.last = False, r[1]
                self.done |= set(range(self.world.keys))
                self.is_up(r[2])
            elif self.on('read_first'):
                self.confirming = r[2]
                if self.run != self.server.run and self.world.now - self.confirmed >= LEASE and self.on('away'):
                    self.done |= set(range(self.world.keys))
                self.ask('first', self.last)
            else:
                self.is_up(r[2])
        elif what in ('since', 'first'):
            found, entries = r
            if not found and self.on('recheck'):
                self.done |= set(range(self.world.keys))   # asks the host about everything
                self.last = entries[-1][0] if entries else 0
            for ident, key, origin in entries:
                if ident > self.last:
                    self.last = ident
                    self.execute(key, origin)
            if what == 'first':
                self.is_up(self.confirming)
        elif what == 'renew':
            self.renewing = False
            if r[0] == 'FENCED':
                self.link = 'attaching'
                self.nth += 1
                self.ask('attach')
                return
            self.confirmed = arg
            for key, p in self.pending.items():
                if p['missing'] and self.on('again'):
                    self.ask('order', key)   # again: the server says who is live now
            self.work()
        elif what == 'order':
            ident, live = r
            p = self.pending.get(arg)
            if p:
                p['id'] = ident
                p['missing'] = {i for i in live if i.split('.')[0] not in p['answered']} if self.on('ask_live') else set()
                self.work()

    def is_up(self, asked):
        self.link, self.confirmed, self.renewing, self.run = 'up', asked, False, self.server.run
        self.renew_at = self.world.now + RENEW
        for p in self.pending.values():
            if self.on('order_again'):
                p.update(id=None, asked=False, missing=None)
        self.work()

    def tick(self):
        if self.link == 'up' and self.world.now >= self.renew_at and not self.renewing:
            self.renewing, self.renew_at = True, self.world.now + RENEW
            self.ask('renew', self.world.now)
        self.work()


class World:
    def __init__(self, seed, off, mild=False):
        self.rng, self.off, self.mild = random.Random(seed), frozenset(off), mild
        self.now, self.keys, self.completed = 0, 0, set()
        self.stat = dict.fromkeys(('complete', 'incomplete', 'failovers', 'paused'), 0)
        self.server = Server(1)
        self.nodes = []
        for i in range(3):
            self.nodes.append(Node(self, 'n%d' % i))
        self.named = 3

    def complete(self, key):
        self.stat['complete'] += 1
        self.completed.add(key)

    def check(self):
        for node in self.nodes:
            if node.believes() and node.state == 'running' and not self.completed <= node.done:
                raise Broken('%s has not carried out %s, which is done' % (node.name, self.completed - node.done))

    def serve(self, node):
        asked, what, arg = node.up.pop(0)
        s = node.server
        if what == 'subscribe':
            s.listeners.append(node)
            return
        r = None
        if what == 'attach':
            if node.inc in s.nodes and s.nodes[node.inc] < self.now:
                del s.nodes[node.inc]
                r = ('FENCED',)
            else:
                s.nodes[node.inc] = self.now + LEASE
                r = ('OK', s.last(), asked)
        elif what == 'renew':
            if node.inc not in s.nodes or s.nodes[node.inc] < self.now:
                s.nodes.pop(node.inc, None)
                r = ('FENCED',)
            else:
                s.nodes[node.inc] = self.now + LEASE
                for inc in [i for i, end in s.nodes.items() if end < self.now]:
                    del s.nodes[inc]
                r = ('OK', list(s.nodes))
        elif what == 'order':
            prev, s.next = s.last(), s.next + 1
            s.log.append((s.next, arg, node.name))
            for n in s.listeners:
                n.push.append((self.now, ('order', s.next, prev, arg, node.name)))
            s.log = s.log[-(100 if self.mild else KEPT):]
            r = (s.next, list(s.nodes))
        elif what in ('since', 'first'):
            found = any(e[0] == arg for e in s.log) or s.last() == arg
            r = (found, [e for e in s.log if e[0] > arg] if found else list(s.log))
        elif what == 'tell':
            for n in s.listeners:
                if n.name == arg[0]:
                    n.push.append((self.now, arg[1]))
            return
        node.down.append((self.now, what, arg, r))

    def pipes(self):
        out = []
        for n in self.nodes:
            if n.up:
                out.append((n.up[0][0], 0, n))
            if n.state == 'running':
                if n.down:
                    out.append((n.down[0][0], 1, n))
                if n.push:
                    out.append((n.push[0][0], 2, n))
        return out

    def move(self, pipe):
        _, which, n = pipe
        if which == 0:
            self.serve(n)
        elif which == 1:
            _, what, arg, r = n.down.pop(0)
            n.result(what, arg, r)
        else:
            n.heard(n.push.pop(0)[1])

    def advance(self, units):
        for _ in range(units):
            old = [p for p in self.pipes() if self.now - p[0] >= DELAY]
            if old:
                self.move(min(old, key=lambda p: p[:2]))
                continue
            self.now += 1
            for n in self.nodes:
                if n.state == 'running':
                    n.tick()

    def step(self):
        rng, r = self.rng, self.rng.random()
        pipes = self.pipes()
        node = rng.choice(self.nodes)
        if r < 0.6 and pipes:
            self.move(rng.choice(pipes))
        elif r < 0.75:
            self.advance(rng.choice((1, 3, 6)))
        elif r < 0.85:
            if node.state == 'running' and node.link == 'up' and len(node.pending) < 3:
                node.order()
        else:
            kind = rng.choice(('lose', 'connect', 'connect', 'connect', 'pause', 'resume', 'resume', 'crash', 'vanish',
                               'failover', 'long')) if not self.mild else 'vanish'
            if kind == 'lose' and node.state == 'running':
                node.lose()
            elif kind == 'connect' and node.state == 'running' and node.server is None:
                node.connect()
            elif kind == 'pause' and sum(n.state == 'running' for n in self.nodes) > 1:
                node.state = 'paused'
                self.stat['paused'] += 1
            elif kind == 'resume' and node.state == 'paused':
                node.state = 'running'
            elif kind == 'crash' and rng.random() < 0.2:
                node.lose()
                self.nodes[self.nodes.index(node)] = Node(self, 'n%d' % self.named)
                self.named += 1
            elif kind == 'vanish' and node.push and (not self.mild or rng.random() < 0.1):
                node.push.pop(rng.randrange(len(node.push)))
            elif kind == 'failover' and rng.random() < 0.2:
                self.stat['failovers'] += 1
                back = rng.randint(0, 2)
                s = self.server
                self.server = Server(s.run + 1, s.log[:len(s.log) - back], s.nodes)
                for n in self.nodes:
                    if n.server is s:
                        n.lose()
                self.server.nodes = {i: self.now + LEASE for i in self.server.nodes}
            elif kind == 'long':
                self.advance(rng.choice((20, LEASE + 5)))
        self.check()

    def run(self, steps):
        for _ in range(steps):
            self.step()
        for n in self.nodes:
            n.state = 'running'
        for n in range(100):
            for node in self.nodes:
                if node.server is None:
                    node.connect()
            self.advance(RENEW)
            self.check()
            if n > 8 and not any(node.pending for node in self.nodes):
                break
        if any(n.pending for n in self.nodes):
            raise Broken('an order is never done')


def one(seed, off, steps, calm):
    world = World(seed, off, calm)
    world.run(steps)
    return world.stat


if __name__ == '__main__':
    calm = ('--mild', 'messages vanish, and nothing else; every order must be answered')
    sys.exit(schedules.main(one, DEVICES, 5000, 250, calm, ('again',)))
