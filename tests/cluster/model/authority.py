"""
The authority of one partition: its state, and every atomic step on it.

This is what lib/cluster/ means: ../compare.py runs both side by side on random operations and compares every answer,
every published message and the state. sim.py uses it as "Redis".

Time is a parameter (milliseconds, what TIME says inside a script). Nothing here is random: whatever must be fresh
(a new epoch) comes in as an argument, so that a replica that is fed the same operations has the same state.

`off` is a set of names of safety devices that are switched off; only the mutation runs use it.
"""

OK, EPOCH, FENCED, FULL, ALIVE, DENIED, NOT_OWNER = 'OK', 'EPOCH', 'FENCED', 'FULL', 'ALIVE', 'DENIED', 'NOT_OWNER'

OCCUPIED, VACATED, ADDED, REMOVED = 'occupied', 'vacated', 'added', 'removed'
COUNTED = 'counted'  # not an edge: a total that is told as edges are; its "user" is the total


def place(id):
    """The order of ids."""
    return tuple(int(part) for part in id.split('-'))


class Partition:
    def __init__(self, off=()):
        self.off = frozenset(off)
        # meta
        self.epoch = ''        # '' = no incarnation has attached since the data came into being
        self.run = ''          # the process that the data was last known to live in
        self.counter = 0       # one for all channels of the partition; never goes back within an epoch
        self.owner = ''        # incarnation that does what must be done once: webhooks
        self.unsettled = 0     # 0, or the time before which the partition cannot settle
        # incarnations
        self.nodes = {}        # incarnation -> end of its lease
        self.since = {}        # incarnation -> when its unbroken time began
        self.unsynced = set()  # announced what they hold under an earlier epoch, but not yet under this one
        self.dying = set()     # fenced, but not all that they held has been taken away
        # what incarnations hold
        self.hold = {}         # incarnation -> {(channel, user)}
        self.counts = {}       # incarnation -> {channel: subscriptions}
        # channels
        self.roster = {}       # channel -> {user: [holders, seq, info]}
        self.last = {}         # channel -> seq of the last change of its roster
        self.total = {}        # channel -> subscriptions of all
        # what webhooks are made of, and has not been told yet
        self.edges = []        # [id, kind, channel, user]; ids are those of a stream: time and a number
        self.edge_at, self.edge_nth = 0, 0
        # what else is written down
        self.index = {}        # channel -> the list of channels that it is in
        self.kept = {}         # channel -> [stamp, body, until]
        self.once = {}         # key -> [content, token, answer or None, until]
        self.log = []          # orders: [id, body]
        self.log_at, self.log_nth = 0, 0
        # not part of the state: whether the step's edges are kept (2: totals, too), and what it has published, [topic, text]
        self.wants = True
        self.out = []

    # -- helpers ------------------------------------------------------------------------------------------------

    def _guard(self, epoch, inc):
        if self.epoch != epoch and 'epoch' not in self.off:
            return EPOCH
        if inc not in self.nodes and 'fence' not in self.off:
            return FENCED
        return OK

    def _edge(self, now, kind, channel, user=''):
        if not self.wants or '/#' in channel:
            return  # a limit is counted as a channel is, and is none
        if now > self.edge_at:
            self.edge_at, self.edge_nth = now, 0
        else:
            self.edge_nth += 1
        self.edges.append(['%d-%d' % (self.edge_at, self.edge_nth), kind, channel, user])
        if len(self.edges) == 1:
            self.out.append(['p', 'T'])  # the teller may be resting

    def _change(self, channel, text):
        """A change of a roster: numbered, chained to the one before, published."""
        prev = self.last.get(channel, 0)
        self.counter += 1
        self.last[channel] = self.counter
        self.out.append(['t/' + channel, '%d %d %s\n%s' % (self.counter, prev, self.epoch, text)])

    def _hold(self, now, inc, channel, user, info):
        """True if it is the user's first holder."""
        held = self.hold.setdefault(inc, set())
        if (channel, user) in held and 'idempotent' not in self.off:
            return False
        held.add((channel, user))
        members = self.roster.setdefault(channel, {})
        if user in members:
            members[user][0] += 1
            return False
        self._change(channel, '+%d:%s%s' % (len(user.encode()), user, info))
        members[user] = [1, self.counter, info]
        self._edge(now, ADDED, channel, user)
        return True

    def _drop(self, now, inc, channel, user):
        """True if it was the user's last holder."""
        held = self.hold.get(inc, set())
        if (channel, user) not in held and 'idempotent' not in self.off:
            return False
        held.discard((channel, user))
        if not held:
            self.hold.pop(inc, None)
        members = self.roster.get(channel, {})
        if user not in members:
            return False
        members[user][0] -= 1
        if members[user][0] > 0:
            return False
        del members[user]
        self._change(channel, '-%d:%s' % (len(user.encode()), user))
        if not members:  # an empty roster keeps no key; the chain starts anew with prev 0
            del self.roster[channel]
            del self.last[channel]
        self._edge(now, REMOVED, channel, user)
        return True

    def _count(self, now, inc, channel, n):
        mine = self.counts.setdefault(inc, {})
        delta = n - mine.get(channel, 0)
        if n:
            mine[channel] = n
        else:
            mine.pop(channel, None)
        if not mine:
            self.counts.pop(inc, None)
        before = self.total.get(channel, 0)
        after = before + delta
        if after > 0:
            self.total[channel] = after
        else:
            self.total.pop(channel, None)
        if before <= 0 < after:
            self._edge(now, OCCUPIED, channel)
        if after <= 0 < before:
            self._edge(now, VACATED, channel)
        if after > 0 and delta and self.wants == 2:
            self._edge(now, COUNTED, channel, str(after))
        return after

    def _settle(self, now):
        if self.unsettled and not self.unsynced and now >= self.unsettled:
            self.unsettled = 0
            self.out.append(['p', 'S %s' % self.epoch])

    # -- life of an incarnation ---------------------------------------------------------------------------------

    def attach(self, now, inc, run, lease, settle, fresh, have):
        """
        An incarnation begins, or comes back with a new connection. `fresh`: an epoch that was not used before. `have`: the epoch
        under which it last announced what it holds, '' = it holds nothing yet.
        """
        new_data = self.run != run and 'run_id' not in self.off
        if self.epoch == '' or new_data:
            # The data is not where it was: it may be old. Every incarnation says again what it holds, and has a
            # whole lease to do so: no unbroken time is longer than this.
            self.epoch, self.run = fresh, run
            for i in self.nodes:
                self.since[i] = now
            self.unsynced = set(self.nodes)
            self.unsettled = now + settle
        known = inc in self.nodes
        if (inc in self.dying or not known and have == self.epoch) and 'fence' not in self.off:
            return [FENCED]  # it was declared dead meanwhile: what it believes to hold was taken away
        if known and self.nodes[inc] < now or not known:
            self.since[inc] = now
        self.nodes[inc] = now + lease
        if have in ('', self.epoch):
            self.unsynced.discard(inc)
        else:
            self.unsynced.add(inc)
        if 'settle' in self.off:
            self.unsettled = 0
        return [OK, self.epoch, self.counter, int(self.unsettled > 0)]

    def renew(self, now, inc, epoch, run, lease, office=1):
        """`office`: 1 = would tell webhooks if no other does; 0 = does not, and gives it up."""
        guard = self._guard(epoch, inc)
        if guard == OK and self.run != run and 'run_id' not in self.off:
            guard = EPOCH
        if guard != OK:
            return [guard]
        if self.nodes.get(inc, 0) < now:
            self.since[inc] = now  # it lapsed: it has vouched for no other, and none for it
        self.nodes[inc] = now + lease
        self._settle(now)
        if not office and self.owner == inc:
            self.owner = ''
            self.out.append(['p', 'V'])
        if office and self.owner not in self.nodes:
            self.owner = inc
        gone = sorted(self.dying)
        if now - self.since.get(inc, now) >= lease or 'continuity' in self.off:
            gone += sorted(i for i, end in self.nodes.items() if end < now)
        return [OK, int(self.unsettled > 0), int(self.owner == inc), gone]

    def synced(self, now, inc, epoch):
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        self.unsynced.discard(inc)
        self._settle(now)
        return [OK, int(self.unsettled > 0)]

    def detach(self, now, inc, epoch):
        """A node goes in peace: what it still holds is taken away as that of a dead one."""
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        if self.hold.get(inc) or self.counts.get(inc):
            self.nodes[inc] = now - 1
        else:
            del self.nodes[inc]
            self.since.pop(inc, None)
        self.unsynced.discard(inc)
        self._settle(now)
        return [OK]

    def mine(self, now, inc, epoch):
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        return [OK, sorted(self.hold.get(inc, ())), sorted(self.counts.get(inc, {}).items())]

    # -- what it holds ------------------------------------------------------------------------------------------

    def join(self, now, inc, epoch, channel, user, info, most, force):
        """`force`: announced again, so not refused. Answers the seq that the mirror must have reached."""
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        members = self.roster.get(channel, {})
        if not force and user not in members and len(members) >= most:
            return [FULL]
        first = self._hold(now, inc, channel, user, info)
        return [OK, self.last.get(channel, 0), int(first)]

    def leave(self, now, inc, epoch, channel, user):
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        return [OK, int(self._drop(now, inc, channel, user))]

    def count(self, now, inc, epoch, channel, n):
        """An absolute number: saying it twice changes nothing."""
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        return [OK, self._count(now, inc, channel, n)]

    def fetch(self, now, epoch, channel):
        if self.epoch != epoch and 'epoch' not in self.off:
            return [EPOCH]
        members = self.roster.get(channel, {})
        # an empty roster has no last change: everything up to now is behind it
        return [OK, self.last.get(channel, self.counter), int(self.unsettled > 0),
                sorted([u, m[1], m[2]] for u, m in members.items())]

    def verify(self, now, epoch, mirrors):
        """Which of these mirrors are not what is here: [channel, last, members]."""
        if self.epoch != epoch and 'epoch' not in self.off:
            return [EPOCH]
        wrong = []
        for channel, last, members in mirrors:
            there = len(self.roster.get(channel, ()))
            if there != members or there and self.last[channel] != last:
                wrong.append(channel)
        return [OK, wrong]

    # -- the dead -----------------------------------------------------------------------------------------------

    def peek(self, now, dead, limit):
        """What it still holds; the caller names it in reap(), so that every key is declared."""
        return [OK, sorted(self.hold.get(dead, ()))[:limit], sorted(self.counts.get(dead, {}))[:limit]]

    def reap(self, now, inc, epoch, lease, dead, held, counted):
        """A batch. The first one fences: whatever `dead` still asks for is refused from then on."""
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        if dead in self.nodes:
            if self.nodes[dead] >= now:
                return [ALIVE]
            if now - self.since.get(inc, now) < lease and 'continuity' not in self.off:
                return [DENIED]
            if self.nodes.get(inc, 0) < now and 'awake' not in self.off:
                return [DENIED]  # a reaper that has lapsed itself may have slept on what it knew
            if 'fence' not in self.off:
                del self.nodes[dead]
                self.since.pop(dead, None)
            self.unsynced.discard(dead)
            self.dying.add(dead)
        elif dead not in self.dying:
            return [OK, 0]  # another incarnation has finished
        for channel, user in held:
            self._drop(now, dead, channel, user)
        for channel in counted:
            if channel in self.counts.get(dead, {}):
                total = self._count(now, dead, channel, 0)
                if self.wants == 2:
                    self.out.append(['t/' + channel, 'C %d' % total])
        left = len(self.hold.get(dead, ())) + len(self.counts.get(dead, {}))
        if left == 0:
            self.dying.discard(dead)
            if 'fence' in self.off:
                self.nodes.pop(dead, None)
        self._settle(now)
        return [OK, left]

    # -- webhooks -----------------------------------------------------------------------------------------------

    def tell(self, now, inc, epoch, since, limit):
        """
        What the owner has to tell, oldest first, and the time, by which their ids are. What it has read up to `since` may
        wait for an endpoint, or for an owner that knows the app.
        """
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        if self.owner != inc:
            return [NOT_OWNER]
        later = [list(e) for e in self.edges if place(e[0]) > place(since)]
        return [OK, now, later[:limit]]

    def told(self, now, inc, epoch, ids):
        """By their ids, not up to one: under data that went back a moment other edges may have come."""
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        if self.owner != inc:
            return [NOT_OWNER]
        self.edges = [e for e in self.edges if e[0] not in ids]
        return [OK]

    def check(self, now, epoch, keys):
        """What is true of what was told lately; user '' asks for the channel."""
        if self.epoch != epoch and 'epoch' not in self.off:
            return [EPOCH]
        waiting = {(c, u) for _, _, c, u in self.edges}
        return [OK, [[c, u, int(u in self.roster.get(c, {}) if u else self.total.get(c, 0) > 0),
                      int((c, u) in waiting)] for c, u in keys]]

    # -- counts with limits, and lists of channels: sim.py uses neither ------------------------------------------

    def count_all(self, now, inc, epoch, items):
        """Like count, for several channels: [index, channel, n, most or None, publish the total]."""
        guard = self._guard(epoch, inc)
        if guard != OK:
            return [guard]
        out = []
        for index, channel, n, most, publish in items:
            mine = self.counts.get(inc, {}).get(channel, 0)
            if most is not None and n > mine:
                n = max(mine, min(n, mine + most - self.total.get(channel, 0)))
            self.index.setdefault(channel, index)
            total = self._count(now, inc, channel, n)
            out += [n, total]
            if publish:
                self.out.append(['t/' + channel, 'C %d' % total])
        return [OK] + out

    def channels(self, now, index, prefix):
        return [OK] + sorted([c, n, len(self.roster.get(c, ()))] for c, n in self.total.items()
                             if c.startswith(prefix) and self.index.get(c, '') == index)

    def totals(self, now, channels):
        return [OK] + [v for c in channels for v in (self.total.get(c, 0), len(self.roster.get(c, ())))]

    # -- kept events, idempotency keys, orders ------------------------------------------------------------------

    def _kept(self, now, channel):
        kept = self.kept.get(channel)
        return kept if kept and kept[2] > now // 1000 else None

    def keep(self, now_us, channel, ttl, body):
        before = (self._kept(now_us, channel) or [0])[0]
        stamp = max(now_us, before + 1)
        self.kept[channel] = [stamp, body, now_us // 1000 + ttl]
        self.out.append(['t/' + channel, '%d %d \n%s' % (stamp, before, body)])
        return [OK, stamp]

    def rekeep(self, now_us, channel, stamp, ttl, body):
        newer = stamp > (self._kept(now_us, channel) or [0])[0]
        if newer:
            self.kept[channel] = [stamp, body, now_us // 1000 + ttl]
        return [OK, int(newer)]

    def kept_event(self, now_us, channel):
        kept = self._kept(now_us, channel)
        return [OK] + ([kept[0], kept[1], kept[2] - now_us // 1000] if kept else [])

    def _once(self, now, key):
        entry = self.once.get(key)
        return entry if entry and entry[3] > now else None

    def once_begin(self, now, key, content, token, ttl):
        entry = self._once(now, key)
        if entry is None:
            self.once[key] = [content, token, None, now + ttl]
            return ['FIRST']
        if entry[0] != content:
            return ['OTHER']
        return ['RUNNING'] if entry[2] is None else ['REPEAT', entry[2]]

    def once_done(self, now, key, token, answer, ttl):
        entry = self._once(now, key)
        if entry is None or entry[1] != token:
            return ['LOST']
        entry[2], entry[3] = answer, now + ttl
        return [OK]

    def once_undo(self, now, key, token):
        entry = self._once(now, key)
        if entry is None or entry[1] != token:
            return ['LOST']
        del self.once[key]
        return [OK]

    def order(self, now, body, keep):
        before = '%d-%d' % (self.log_at, self.log_nth)
        self.log_at, self.log_nth = (now, 0) if now > self.log_at else (self.log_at, self.log_nth + 1)
        ident = '%d-%d' % (self.log_at, self.log_nth)
        self.log.append([ident, body])
        self.log = self.log[-keep:]
        self.out.append(['o', '%s %s\n%s' % (ident, before, body)])
        return [OK, ident] + sorted(self.nodes)

    def orders(self, now, since, limit):
        def number(ident):
            return [int(n) for n in ident.split('-')]
        found = since == '%d-%d' % (self.log_at, self.log_nth) or any(o[0] == since for o in self.log)
        after = [o for o in self.log if not found or number(o[0]) > number(since)]
        return [OK, int(found), '%d-%d' % (self.log_at, self.log_nth)] + [v for o in after[:limit] for v in o]

    # -- for comparisons ----------------------------------------------------------------------------------------

    def dump(self):
        return {
            'meta': [self.epoch, self.run, self.counter, self.owner, self.unsettled],
            'nodes': dict(self.nodes), 'since': dict(self.since),
            'unsynced': sorted(self.unsynced), 'dying': sorted(self.dying),
            'hold': {i: sorted(h) for i, h in self.hold.items() if h},
            'counts': {i: dict(c) for i, c in self.counts.items() if c},
            'roster': {c: {u: list(m) for u, m in ms.items()} for c, ms in self.roster.items() if ms},
            'last': {c: n for c, n in self.last.items() if n}, 'total': dict(self.total),
            'edges': [list(e) for e in self.edges],
        }

    def copy(self):
        p = Partition(self.off)
        p.__dict__.update({k: v for k, v in self.__dict__.items()})
        p.nodes, p.since = dict(self.nodes), dict(self.since)
        p.unsynced, p.dying = set(self.unsynced), set(self.dying)
        p.hold = {i: set(h) for i, h in self.hold.items()}
        p.counts = {i: dict(c) for i, c in self.counts.items()}
        p.roster = {c: {u: list(m) for u, m in ms.items()} for c, ms in self.roster.items()}
        p.last, p.total = dict(self.last), dict(self.total)
        p.edges = [list(e) for e in self.edges]
        p.out = []
        return p
