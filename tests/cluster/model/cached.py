#!/usr/bin/env python3
"""
Cache channels: their events go through the authority (keep), so that all nodes hear them in one order, and the
last one is kept for newcomers. One channel, several nodes, lost connections, crashes, a server that loses its last
writes.

Checked for each subscriber: what it is shown first and what it hears after has growing stamps, nothing twice; in the end
it has the last event that is kept, however many were lost on the way; and without faults it hears every event that
was published after it subscribed.

    cached.py [--schedules N] [--steps N] [--seed N] [--off NAME] [--no-faults] [--mutations]
"""
import random
import sys

import schedules
from schedules import Broken


def require(condition, text, *args):
    if not condition:
        raise Broken(text % args)


DEVICES = {
    'subscribe_first': 'what is kept is fetched only after the subscription stands',
    'stamp': 'an event that is older than what is kept here changes nothing',
    'repair': 'what is fetched is told to subscribers who have something older',
    'rekeep': 'after the data went back nodes bring what is newer',
    'through': 'local subscribers hear an event when it comes back, not before',
    'wait_live': 'a newcomer is answered when what is kept is known',
}


# The first schedule of 200 steps that fails without the device, where it takes long to find one.
KNOWN = {'rekeep': 773, 'through': 78}


class Server:
    def __init__(self, kept=None, run=1):
        self.kept, self.run, self.listeners = kept, run, []

    def keep(self, now, body):
        prev = self.kept[0] if self.kept else 0
        stamp = max(now, prev + 1)
        self.kept = (stamp, body)
        for conn in self.listeners:
            conn.down.append(('event', stamp, body))
        return stamp


class Conn:
    def __init__(self, server):
        self.server, self.up, self.down = server, [], []


class Subscriber:
    def __init__(self, node, when):
        self.node, self.when, self.at, self.heard = node, when, None, []
        # something was kept when it asked, and its node had not asked for it yet
        self.due = node.world.server.kept is not None and not node.live and not node.fetching

    def hear(self, stamp, body):
        require(not self.heard or stamp > self.heard[-1], 'hears %d after %s', stamp, self.heard[-1:])
        self.heard.append(stamp)
        self.node.world.stat['heard'] += 1


class Node:
    def __init__(self, world, name):
        self.world, self.name = world, name
        self.cmd = self.sub = None
        self.there = self.live = self.fetching = False
        self.copy = None
        self.run = 0
        self.waiting, self.subscribers = [], []
        self.outbox, self.inflight = [], []
        self.connect()

    def on(self, device):
        return device not in self.world.off

    def connect(self):
        server = self.world.server
        self.cmd, self.sub = Conn(server), Conn(server)
        self.there = self.live = self.fetching = False
        if self.run not in (0, server.run) and self.copy and self.on('rekeep'):
            self.ask('rekeep', self.copy)  # what it brings is owed until it is answered
        else:
            self.run = server.run
        self.sub.up.append('subscribe')
        for body in self.outbox:
            self.ask('keep', body)
        self.outbox = []

    def lose(self):
        if self.cmd is None:
            return
        if self.sub in self.cmd.server.listeners:
            self.cmd.server.listeners.remove(self.sub)
        # asked and not answered: whether it was done is not known; once more would be twice
        self.inflight = []
        self.cmd = self.sub = None
        self.there = self.live = self.fetching = False

    def ask(self, what, arg=None):
        self.cmd.up.append((what, arg))
        self.inflight.append(what)

    def pump(self):
        if self.cmd and not self.live and not self.fetching and (self.there or not self.on('subscribe_first')):
            self.fetching = True
            self.ask('fetch')
        if self.live or (self.cmd and self.there and not self.on('wait_live')):
            for s in self.waiting:
                s.at = self.world.events
                require(not s.due or self.copy or self.world.faulty, 'a newcomer is told that nothing is kept')
                self.subscribers.append(s)
                if self.copy:
                    s.hear(*self.copy)
            self.waiting = []

    def publish(self, body):
        if self.cmd:
            self.ask('keep', body)
            if not self.on('through'):
                self.take(self.world.now, body)
        elif len(self.outbox) < 3:
            self.outbox.append(body)

    def take(self, stamp, body, repair=False):
        """An event, or what is kept."""
        if self.copy and stamp <= self.copy[0] and self.on('stamp'):
            return
        self.copy = (stamp, body)
        if repair and not self.on('repair'):
            return
        for s in self.subscribers:
            s.hear(stamp, body)

    def answer(self, result):
        what = self.inflight.pop(0)
        if what == 'rekeep':
            self.run = self.cmd.server.run
        if what == 'fetch':
            self.fetching, self.live = False, self.there or not self.on('subscribe_first')
            if result:
                self.take(*result, repair=True)
        self.pump()


class World:
    def __init__(self, seed, off, faults):
        self.rng, self.off, self.faults = random.Random(seed), frozenset(off), faults
        self.now, self.events, self.bodies = 100, 0, 0
        self.stat = dict.fromkeys(('heard', 'published', 'failovers'), 0)
        self.server = Server()
        self.history = []
        self.faulty = False
        self.published = []     # stamps, in order
        self.nodes = [Node(self, 'n%d' % i) for i in range(3)]

    def serve(self, conn, which):
        item = conn.up.pop(0)
        server = conn.server
        if which == 'sub':
            server.listeners.append(conn)
            conn.down.append(('there',))
            return
        what, arg = item
        result = None
        if what == 'keep':
            self.history.append(server.kept)
            stamp = server.keep(self.now, arg)
            self.published.append(stamp)
            self.events = len(self.published)
            self.stat['published'] += 1
        elif what == 'rekeep':
            if not server.kept or server.kept[0] < arg[0]:
                server.kept = arg
        else:
            result = server.kept
        conn.down.append(result)

    def take(self, node, conn, which):
        item = conn.down.pop(0)
        if which == 'cmd':
            node.answer(item)
        elif item[0] == 'there':
            node.there = True
            node.pump()
        else:
            node.take(item[1], item[2])

    def pipes(self):
        out = []
        for node in self.nodes:
            for which in ('cmd', 'sub'):
                conn = getattr(node, which)
                if conn and conn.up:
                    out.append((0, node, conn, which))
                if conn and conn.down:
                    out.append((1, node, conn, which))
        return out

    def move(self):
        pipes = self.pipes()
        if not pipes:
            return False
        direction, node, conn, which = self.rng.choice(pipes)
        if direction == 0:
            self.serve(conn, which)
        else:
            self.take(node, conn, which)
        return True

    def step(self):
        rng, r = self.rng, self.rng.random()
        node = rng.choice(self.nodes)
        if r < 0.6:
            self.move()
        elif r < 0.7:
            self.now += rng.choice((1, 5))
        elif r < 0.8:
            if len(node.subscribers) + len(node.waiting) < 4:
                node.waiting.append(Subscriber(node, self.events))
                node.pump()
        elif r < 0.93:
            self.bodies += 1
            node.publish('b%d' % self.bodies)
        elif self.faults:
            self.faulty = True
            kind = rng.choice(('lose', 'lose', 'connect', 'connect', 'connect', 'crash', 'failover'))
            if kind == 'lose':
                node.lose()
            elif kind == 'connect' and node.cmd is None:
                node.connect()
            elif kind == 'crash' and rng.random() < 0.3:
                node.lose()
                self.nodes[self.nodes.index(node)] = Node(self, 'x')
            elif kind == 'failover' and rng.random() < 0.4:
                self.stat['failovers'] += 1
                self.now += 100  # it takes longer than any stamp is ahead of the clock, and than clocks differ
                back = rng.randint(0, 3)
                kept = self.history[-back] if back and back <= len(self.history) else self.server.kept
                for n in self.nodes:
                    n.lose()
                self.server = Server(kept, self.server.run + 1)

    def run(self, steps):
        for _ in range(steps):
            self.step()
        for _ in range(4):
            for node in self.nodes:
                if node.cmd is None:
                    node.connect()
            while self.move():
                pass
            # what a node brought after another had fetched: the sweep of mirrors fetches again
            for node in self.nodes:
                node.live = False
                node.pump()
        while self.move():
            pass
        kept = self.server.kept
        for node in self.nodes:
            require(node.copy == kept, '%s keeps %s, the authority %s', node.name, node.copy, kept)
            for s in node.subscribers:
                require(not kept or s.heard and s.heard[-1] == kept[0], 'a subscriber has %s, kept is %s', s.heard[-1:], kept)
                if not self.faulty:
                    missed = [x for x in self.published[s.at:] if x not in s.heard]
                    require(not missed, 'a subscriber missed %s', missed)
            require(not node.waiting, 'a newcomer waits for ever')


def one(seed, off, steps, calm):
    world = World(seed, off, not calm)
    world.run(steps)
    return world.stat


if __name__ == '__main__':
    sys.exit(schedules.main(one, DEVICES, 5000, 200, ('--no-faults', 'nothing fails'), ('subscribe_first', 'wait_live'), KNOWN))
