#!/usr/bin/env python3
"""
Coming back together: what nodes do with the events that waited for them while Redis was away. All lose their links at the same
time, try again and again, and come back one after the other. Redis keeps no events: who has not subscribed when one is
published does not get it.

Checked: each event is heard on every node in its publisher's order and once; all that waited is heard on all nodes, if Redis was
away for no longer than the time in which tries stay close together; and a node that has nothing to send does not wait.

    rejoin.py [--schedules N] [--seed N] [--off NAME] [--mutations]
"""
import random
import sys

import schedules
from schedules import Broken

# units of 20 ms
REJOIN = 25       # PC_REJOIN_MS
FIRST = 5         # the first pause between two tries
PAUSE = 20        # the longest one, in the beginning
SHORT = 500       # for so long pauses stay like that: 10 s
LONGEST = 250
DELAY = 4         # the longest that a message is under way


def require(condition, text, *args):
    if not condition:
        raise Broken(text % args if args else text)


DEVICES = {
    'wait': 'a node with events that wait is subscribed for half a second before it attaches',
    'short_pauses': 'for ten seconds pauses between tries are short, so that nodes come back at about the same time',
    'subscribe_first': 'topics are subscribed when the link is back, not when the node has attached',
    'in_order': 'what is published while older events wait goes behind them',
    'again': 'what was sent and not answered when the link was lost is sent again',
    'dedupe': 'an event that was sent again is dropped where it was heard',
    'only_if_waiting': 'a node without events that wait attaches at once',
}


class Node:
    def __init__(self, world, name):
        self.world, self.name = world, name
        self.link = 'up'
        self.subscribed = True
        self.up, self.down = [], []     # (due, item), in order
        self.sent, self.outbox, self.unanswered = 0, [], []
        self.heard = {}                 # origin -> numbers
        self.try_at = self.tries = self.attach_at = self.back_at = None

    def on(self, device):
        return device not in self.world.off

    def put(self, pipe, item):
        due = self.world.now + self.world.rng.randint(0, DELAY)
        pipe.append((max(due, pipe[-1][0]) if pipe else due, item))

    # -- its link

    def lose(self):
        self.link, self.subscribed, self.up, self.down = 'down', False, [], []
        self.tries = 0
        if self.on('again'):
            self.outbox = self.unanswered + self.outbox
        self.unanswered = []
        self.pause()

    def pause(self):
        longest = PAUSE if self.on('short_pauses') and self.world.now - self.world.gone_at < SHORT else LONGEST
        whole = min(FIRST << min(self.tries, 20), longest)
        self.tries += 1
        self.try_at = self.world.now + self.world.rng.randint(whole // 2, whole)

    def back(self):
        self.link, self.back_at = 'subscribed', self.world.now
        if self.on('subscribe_first'):
            self.put(self.up, 'subscribe')
        waits = self.on('wait') and (self.outbox or not self.on('only_if_waiting'))
        self.attach_at = self.world.now + (REJOIN if waits else 0)
        self.waited_for = list(self.outbox)

    def attach(self):
        require(self.waited_for or self.world.now == self.back_at, '%s waits, and has nothing to send', self.name)
        self.link = 'attaching'
        self.put(self.up, 'attach')

    def attached(self):
        self.link = 'up'
        if not self.on('subscribe_first'):
            self.put(self.up, 'subscribe')
        for number in self.outbox:
            self.send(number)
        self.outbox = []

    # -- events

    def publish(self):
        self.sent += 1
        self.hear(self.name, self.sent)
        if self.link == 'up' or self.link != 'down' and not self.on('in_order'):
            self.send(self.sent)
        else:
            self.outbox.append(self.sent)

    def send(self, number):
        self.unanswered.append(number)
        self.put(self.up, number)

    def hear(self, origin, number):
        heard = self.heard.setdefault(origin, [0])
        if number <= heard[-1] and self.on('dedupe'):
            return
        require(number > heard[-1], '%s hears %d of %s after %d', self.name, number, origin, heard[-1])
        heard.append(number)

    def tick(self):
        now = self.world.now
        if self.link == 'down' and now >= self.try_at:
            if self.world.away:
                self.pause()
            else:
                self.back()
        if self.link == 'subscribed' and now >= self.attach_at:
            self.attach()
        while self.up and self.up[0][0] <= now and not self.world.away:
            item = self.up.pop(0)[1]
            if item == 'subscribe':
                self.subscribed = True
            elif item == 'attach':
                self.put(self.down, 'attached')
            else:
                self.put(self.down, 'answered')
                for node in self.world.nodes:
                    if node.subscribed and node is not self:
                        node.put(node.down, (self.name, item))
        while self.down and self.down[0][0] <= now:
            item = self.down.pop(0)[1]
            if item == 'attached':
                self.attached()
            elif item == 'answered':
                self.unanswered.pop(0)
            else:
                self.hear(*item)


class World:
    def __init__(self, seed, off):
        self.rng, self.off = random.Random(seed), frozenset(off)
        self.now, self.away, self.gone_at = 0, False, 0
        self.stat = dict.fromkeys(('published', 'waited'), 0)
        self.nodes = [Node(self, 'n%d' % i) for i in range(2 + seed % 3)]

    def pass_time(self, units, rate):
        for _ in range(units):
            self.now += 1
            for node in self.nodes:
                if self.rng.random() < rate:
                    node.publish()
                    self.stat['published'] += 1
                node.tick()

    def run(self):
        rate = self.rng.choice((0.003, 0.03, 0.2))
        self.pass_time(self.rng.randint(1, 30), 0.2)
        self.away, self.gone_at = True, self.now
        # those that Redis has answered may have been lost on their way to another node
        due = {n.name: n.sent + 1 - len(n.unanswered) for n in self.nodes}
        for node in self.nodes:
            node.lose()
        self.pass_time(self.rng.randint(1, SHORT - PAUSE), rate)
        self.stat['waited'] += sum(len(n.outbox) for n in self.nodes)
        until = {n.name: n.sent for n in self.nodes}
        self.away = False
        self.pass_time(PAUSE + REJOIN + 3 * DELAY, rate)
        for node in self.nodes:
            node.try_at = 0  # the rest come as well
        self.pass_time(REJOIN + 8 * DELAY, 0)
        for node in self.nodes:
            require(node.link == 'up' and not node.outbox, '%s is not back', node.name)
            for origin in self.nodes:
                heard = node.heard.get(origin.name, [])
                missed = [n for n in range(due[origin.name], until[origin.name] + 1) if n not in heard]
                require(not missed, '%s misses %s of %s, which waited', node.name, missed, origin.name)


def one(seed, off, steps, calm):
    world = World(seed, off)
    world.run()
    return world.stat


if __name__ == '__main__':
    sys.exit(schedules.main(one, DEVICES, 3000, None))
