#!/usr/bin/env python3
"""
Limits of connections over all nodes ("seats"): a node takes a connection at once, and has the authority count it; the newest
of those that do not fit are closed. One limit, several nodes, one partition of authority.py; lost connections, deaths, a
server that loses its last writes or all of them, nodes that work without a link.

Checked at every close: the connection has been counted, it has never fitted before, the limit was reached, and no older one
that was counted with it is closed in its place. Checked at rest: every connection fits; the authority counts what there is;
there are no more than the limit, unless data was lost or a node was buried while it was away, after which those that have
fitted once stay.

    seats.py [--schedules N] [--steps N] [--seed N] [--off NAME] [--no-faults] [--mutations]
"""
import random
import sys

import schedules
from authority import Partition, OK, FENCED, EPOCH
from schedules import Broken

LEASE, SETTLE = 60, 35
LIMIT = 'app/#a'


def require(condition, text, *args):
    if not condition:
        raise Broken(text % args if args else text)


DEVICES = {
    'most': 'the authority is told the limit with the count, and grants no more than fits',
    'fits_once': 'a connection that has fitted once is not closed',
    'asked': 'the answer to a count says nothing of connections that came after the question',
    'in_place': 'a connection that came while another one ended fits in its place',
    'uncapped': 'what stays above the limit is counted without it',
    'newest': 'the newest are closed, not the oldest',
    'level': 'what has changed while a count was under way is counted again',
}


class Seat:
    def __init__(self, number):
        self.number, self.counted, self.fitted = number, False, False


class Node:
    def __init__(self, world, name):
        self.world, self.name, self.nth = world, name, 0
        self.link, self.epoch, self.announced = 'down', '', ''
        self.up, self.down = [], []
        self.seats, self.number = [], 0
        self.sent, self.asking = 0, False     # the count that the authority has; None: not known
        self.asked, self.uncapped = None, False

    def on(self, device):
        return device not in self.world.off

    @property
    def inc(self):
        return '%s.%d' % (self.name, self.nth)

    # -- its link

    def ask(self, name, *args):
        self.up.append((name, args))

    def connect(self):
        self.link = 'attaching'
        self.up, self.down = [], []
        self.attach()

    def attach(self):
        self.ask('attach', self.inc, self.world.run_id, LEASE, SETTLE, self.world.fresh(), self.announced)

    def lose(self):
        self.link, self.up, self.down = 'down', [], []
        if self.asking:
            self.sent, self.asking = None, False

    def anew(self, fenced):
        self.lose()
        self.sent = None
        if fenced:
            self.nth, self.announced = self.nth + 1, ''
            self.world.moved = True
        self.connect()

    def answer(self, name, args, result):
        if result[0] in (FENCED, EPOCH):
            self.anew(result[0] == FENCED)
        elif name == 'attach':
            self.epoch = result[1]
            if self.announced == self.epoch:
                self.link = 'up'
            else:
                self.ask('mine', self.inc, self.epoch)
        elif name == 'mine':
            self.sent, self.link = dict(result[2]).get(LIMIT, 0), 'up'
            self.ask('synced', self.inc, self.epoch)
        elif name == 'synced':
            self.announced = self.epoch
        elif name == 'count_all':
            self.counted(result[1])

    # -- its connections

    def take(self):
        if len(self.seats) < self.world.limit:  # a node refuses at once what is above the limit on itself
            self.number += 1
            self.seats.append(Seat(self.number))

    def look(self):
        if self.link != 'up' or self.asking:
            return
        if self.sent == len(self.seats):
            for seat in self.seats:
                seat.fitted = True
                seat.counted |= self.on('in_place')
            return
        if not self.on('level') and self.sent is not None and self.asked:
            return
        most = self.world.limit if self.on('most') and not self.uncapped else None
        self.asking, self.uncapped = True, False
        self.asked = list(self.seats)
        self.ask('count_all', self.inc, self.epoch, [['app:q', LIMIT, len(self.seats), most, 0]])

    def counted(self, granted):
        self.sent, self.asking = granted, False
        before = [s for s in self.asked if s in self.seats]
        newest = self.asked[-1].number if self.asked else 0
        newer = sum(s.number > newest for s in self.seats) if self.on('asked') else 0
        taken = 0
        for seat in sorted(self.seats, key=lambda s: s.number, reverse=self.on('newest')):
            if seat.counted and self.on('fits_once'):
                if self.on('newest'):
                    break
                continue
            if seat.number > newest and self.on('asked'):
                continue
            if len(self.seats) - newer > granted:
                self.seats.remove(seat)
                self.close(seat, before, granted)
                taken += 1
            else:
                seat.counted = True
        self.uncapped = len(self.seats) - newer > granted and self.on('uncapped')
        for seat in before[:granted]:
            seat.fitted = True

    def close(self, seat, before, granted):
        self.world.stat['closed'] += 1
        require(seat in before, '%s closes a connection that was not counted', self.name)
        require(not seat.fitted, '%s closes a connection that has fitted once', self.name)
        require(before.index(seat) >= granted, '%s closes an older one in place of a newer one', self.name)


class World:
    def __init__(self, seed, off, faults):
        self.rng, self.off, self.faults = random.Random(seed), frozenset(off), faults
        self.stat = dict.fromkeys(('closed', 'taken', 'failovers', 'buried'), 0)
        self.now, self.limit, self.epochs, self.runs = 1000, self.rng.randint(2, 5), 0, 1
        self.moved = False      # data was lost, or a node was buried: those that have fitted may be too many
        self.state = Partition()
        self.replica = self.state.copy()
        self.nodes = []
        self.named = 0
        for _ in range(2 + seed % 2):
            self.start()

    @property
    def run_id(self):
        return 'r%d' % self.runs

    def fresh(self):
        self.epochs += 1
        return 'e%d' % self.epochs

    def start(self):
        self.named += 1
        self.nodes.append(Node(self, 'n%d' % self.named))
        self.nodes[-1].connect()

    def serve(self, node):
        name, args = node.up.pop(0)
        result = getattr(self.state, name)(self.now, *args)
        self.state.out = []
        if name == 'count_all' and result[0] == OK:
            n, most = args[2][0][2:4]
            require(most is None or result[1] >= n or result[2] >= most, 'refused at %d of %d', result[2], self.limit)
        node.down.append((name, args, result))

    def move(self):
        pipes = [(n, n.up) for n in self.nodes if n.up] + [(n, n.down) for n in self.nodes if n.down]
        if not pipes:
            return False
        node, pipe = self.rng.choice(pipes)
        if pipe is node.up:
            self.serve(node)
        else:
            node.answer(*node.down.pop(0))
        return True

    def advance(self, units):
        """Time passes: those with a link renew their leases, and bury those that have lapsed."""
        self.now += units
        up = [n for n in self.nodes if n.link == 'up']
        for node in up:
            renewed = self.state.renew(self.now, node.inc, node.epoch, self.run_id, LEASE)
            if renewed[0] != OK:
                node.anew(renewed[0] == FENCED)
                continue
            for dead in renewed[3]:
                held, counted = self.state.peek(self.now, dead, 10)[1:]
                if self.state.reap(self.now, node.inc, node.epoch, LEASE, dead, held, counted)[0] == OK:
                    self.stat['buried'] += 1
        self.state.out = []

    def failover(self, state):
        self.stat['failovers'] += 1
        self.moved = True
        self.runs += 1
        self.state = state
        self.replica = state.copy()
        for node in self.nodes:
            node.lose()

    def step(self):
        rng, r = self.rng, self.rng.random()
        node = rng.choice(self.nodes)
        if r < 0.55:
            self.move()
        elif r < 0.65:
            node.look()
        elif r < 0.78:
            node.take()
            self.stat['taken'] += 1
        elif r < 0.88:
            if node.seats:
                node.seats.remove(rng.choice(node.seats))
        elif r < 0.91:
            self.advance(rng.choice((1, 5, 20)))
        elif r < 0.93:
            self.replica = self.state.copy()
        elif self.faults:
            kind = rng.choice(('lose', 'connect', 'connect', 'connect', 'crash', 'start', 'failover', 'flush', 'long'))
            if kind == 'lose':
                node.lose()
            elif kind == 'connect' and node.link == 'down':
                node.connect()
            elif kind == 'crash' and len(self.nodes) > 1 and rng.random() < 0.3:
                self.nodes.remove(node)
            elif kind == 'start' and len(self.nodes) < 4:
                self.start()
            elif kind == 'failover' and rng.random() < 0.3:
                self.failover(self.replica)
            elif kind == 'flush' and rng.random() < 0.1:
                self.failover(Partition())
            elif kind == 'long':
                for _ in range(4):
                    self.advance(LEASE // 3)

    def rest(self):
        for _ in range(200):
            for node in self.nodes:
                if node.link == 'down':
                    node.connect()
                node.look()
            if not self.move():
                return
            while self.move():
                pass
        raise Broken('it never comes to rest')

    def run(self, steps):
        for _ in range(steps):
            self.step()
        for _ in range(12):  # the dead are buried
            self.rest()
            self.advance(LEASE // 3)
        self.rest()
        there = [s for n in self.nodes for s in n.seats]
        require(self.state.total.get(LIMIT, 0) == len(there), 'the authority counts %d connections of %d',
                self.state.total.get(LIMIT, 0), len(there))
        require(all(s.fitted for s in there), 'a connection is never counted')
        require(len(there) <= self.limit or self.moved, '%d connections, the limit is %d', len(there), self.limit)


def one(seed, off, steps, calm):
    world = World(seed, off, not calm)
    world.run(steps)
    return world.stat


if __name__ == '__main__':
    sys.exit(schedules.main(one, DEVICES, 3000, 200, ('--no-faults', 'nothing fails')))
