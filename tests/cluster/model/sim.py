"""
Several nodes, clients that watch, one partition of "Redis" with a replica that lags, connections that delay and break,
and a scheduler that picks what happens next at random from a seed. Everything that clients are told is checked as it
is told; after the random part the faults stop, everything is delivered, and the end is checked.

A violation raises Broken with the reason; run.py prints the trace.
"""
import random

from authority import (Partition, OK, EPOCH, FENCED, FULL, ALIVE, DENIED, NOT_OWNER,
                       OCCUPIED, VACATED, ADDED, REMOVED)
from schedules import Broken

LEASE = 60        # units of time, as all below
RENEW = 20
SETTLE = 35       # a partition whose data moved stays unsettled at least so long: RENEW and two DELAYs, or more
SWEEP = 50        # mirrors are compared with the authority so often
ISOLATED = 60     # without a link for so long: a node believes only itself
JOIN_WAIT = 20    # a client that subscribes waits so long for the link, then is served from here
DELAY = 6         # the longest a message is under way on a healthy connection
BUFFER = 3        # changes kept while a roster is being fetched
OUTBOX = 4        # events kept while there is no link
FETCH_WAIT = 12   # a subscription without a word from the authority for so long is fetched anew
RECENT = 10 ** 9  # how long the teller of webhooks remembers what it has told: in the model for ever
LAG = 40          # writes older than this have reached the replica


def require(condition, text, *args):
    if not condition:
        raise Broken(text % args if args else text)


class Server:
    """A Redis process."""

    def __init__(self, world, run, state):
        self.world, self.run, self.state = world, run, state
        self.subs = {}      # topic -> [conn]
        self.log = []       # operations since the replica was made
        self.stalled = False  # stopped, connections stay

    def call(self, name, args):
        now = self.world.now
        self.log.append((name, now, args))
        before = len(self.state.out)
        rosters = {c: set(ms) for c, ms in self.state.roster.items()}
        result = getattr(self.state, name)(now, *args)
        for topic, text in self.state.out[before:]:
            if text in 'TV':
                continue  # the teller of this model never rests, and knows all apps
            if topic != 'p':
                self.remember(rosters, topic[2:], text)
            self.publish(topic, text)
        del self.state.out[:]
        return result

    def remember(self, rosters, channel, text):
        """For checking mirrors: who was in at each change."""
        head, body = text.split('\n', 1)
        seq, _, epoch = head.split(' ')
        length, rest = body[1:].split(':', 1)
        users = rosters.setdefault(channel, set())
        (users.add if body[0] == '+' else users.discard)(rest[:int(length)])
        self.world.history[(epoch, channel, int(seq))] = frozenset(users)

    def publish(self, topic, text):
        for conn in list(self.subs.get(topic, ())):
            if conn.open:
                conn.down.append((self.world.now, ('push', topic, text)))


class Conn:
    def __init__(self, server):
        self.server, self.open = server, True
        self.up, self.down = [], []   # (time, item), in order
        self.asked = {}               # topic -> subscriptions and their ends that were not answered yet

    def close(self):
        self.open = False
        for conns in self.server.subs.values():
            if self in conns:
                conns.remove(self)


class Client:
    number = 0

    def __init__(self, node, channel, user, presence):
        Client.number += 1
        self.id = Client.number
        self.node, self.channel, self.user, self.presence = node, channel, user, presence
        self.people = channel.startswith('#')
        self.holds = presence and user is not None  # of people: has signed in; the others watch
        self.watches = not self.people or not self.holds
        self.state = 'pending'      # subscribed, refused, gone
        self.asked = node.world.now
        self.before = [c for c in node.world.clients if c.state == 'subscribed' and c.channel == channel]
        self.asked_join = False     # the user was new to the node
        self.want = None            # seq that the mirror must have reached
        self.roster = None
        self.tags = {}
        self.heard = {}             # origin -> last number
        self.events = set()

    # what it is told

    def subscribed(self, members):
        require(self.state == 'pending', 'c%d subscribed twice', self.id)
        self.state = 'subscribed'
        world = self.node.world
        if self.presence:
            require(not self.holds or self.user in members, 'c%d is not in its own roster', self.id)
            if not world.faulty and self.asked_join:
                for other in self.before:
                    require(other.state != 'subscribed' or other.user in members,
                            'c%d is not told of %s, who was answered before it asked', self.id, other.user)
            self.roster = set(members)
            self.tags = dict(members)
            chans = [n.chans[self.channel] for n in world.nodes if self.channel in n.chans]
            under_way = sum(bool(ch.held or ch.flying or any(c.holds for c in ch.clients)) for ch in chans)
            self.came = world.came.get(self.channel, 0) - under_way

    def added(self, user, tag):
        world = self.node.world
        require(user != self.user, 'c%d is told of itself: added', self.id)
        require(user not in self.roster, 'c%d: member_added for %s, who is in its roster', self.id, user)
        self.roster.add(user)
        self.tags[user] = tag
        world.stat['added'] += 1
        self.came += 1
        require(world.faulty or not self.people or self.came <= world.came[self.channel],
                'c%d is told more often that %s came than it did', self.id, user)

    def removed(self, user):
        world = self.node.world
        require(user != self.user, 'c%d is told of itself: removed', self.id)
        require(user in self.roster, 'c%d: member_removed for %s, who is not in its roster', self.id, user)
        self.roster.remove(user)
        tag = self.tags.pop(user)
        world.stat['removed'] += 1
        if tag is not None and world.truth_tag.get((self.channel, user)) == tag and self.node.in_touch() and \
                world.well_held(self.channel, user) and not world.silent:
            raise Broken('c%d: member_removed for %s, who was there all the time' % (self.id, user))

    def event(self, origin, number, sent):
        require((origin, number) not in self.events, 'c%d hears event %s/%d twice', self.id, origin, number)
        require(self.heard.get(origin, -1) < number, 'c%d hears events of %s out of order', self.id, origin)
        self.events.add((origin, number))
        self.heard[origin] = number
        self.node.world.stat['heard'] += 1


class Chan:
    """What a node knows of a channel."""

    def __init__(self, presence):
        self.presence = presence
        self.clients = []       # pending and subscribed
        self.sub = None         # None, 'asked', 'there'
        self.live = False       # the mirror follows
        self.heard_of = ('', 0) # for checking: the latest change that came, and its epoch
        self.suspect = None     # what the last sweep found wrong
        self.fetching = False
        self.fetch_number = 0   # of the latest one asked: answers to earlier ones do not count
        self.hold_back = False  # it was settled, but the mirror may not have caught up: removals wait for a fetch
        self.mirror = {}        # user -> tag: what the authority says
        self.last = 0
        self.mirror_epoch = ''
        self.buffer = []
        self.spoilt = False     # something came while fetching that did not fit into the buffer
        self.view = {}          # user -> tag: what was announced to clients here
        self.held = {}          # user -> acknowledged: True, False, None = not known
        self.flying = {}        # user -> what was asked last
        self.asked_by = {}      # user -> the latest client there was when that was asked
        self.joined = {}        # user -> seq that the mirror has to reach before it can say that the user is gone
        self.sent_count = 0     # acknowledged; None = not known
        self.flying_count = None
        self.left = set()       # left here while there was no link


class Node:
    def __init__(self, world, name):
        self.world, self.name = world, name
        self.state = 'running'       # paused, dead
        self.nth = 0
        self.inc = name + '.0'
        self.server = None           # where its connections lead
        self.cmd = self.sub = None
        self.link = 'down'           # attaching, reconciling, up
        self.lost_at = world.now     # when the link went down
        self.epoch = ''              # attached under
        self.announced = ''          # everything was announced under
        self.unsettled = False
        self.owner = False
        self.inflight = []           # what was asked, in order
        self.renew_at = 0
        self.renewing = False
        self.sweep_at = world.now + SWEEP
        self.fetches = 0
        self.chans = {}
        self.sent = 0                # events, numbered
        self.outbox = []
        self.unacked = []
        self.seen = {}               # origin -> number
        self.gone = []               # incarnations to reap
        self.lapsed = set()          # those that the last renewal found
        self.reaping = None
        self.telling = False
        self.doubtful = False        # the data may have gone back since it told something
        self.tell_until = 0
        self.read = '0-0'            # edges up to this one
        self.noted = []              # of them, those that the authority still has
        self.acknowledging = False
        self.recent = {}             # (channel, user) -> (told last, when)
        self.able_from = None        # since when it has been running and connected
        self.was_well = False        # it was so for long enough to have renewed its lease
        self.bad_time = 0            # and for how long it has not been since; a stopped Redis is not its fault

    def on(self, device):
        return device not in self.world.off

    def trace(self, text, *args):
        self.world.trace('%s: %s' % (self.name, text % args if args else text))

    def in_touch(self):
        return (self.server is self.world.current and self.link == 'up' and self.world.now - self.lost_at >= 0)

    # -- connections --------------------------------------------------------------------------------------------

    def connect(self, server):
        self.server = server
        self.cmd, self.sub = Conn(server), Conn(server)
        self.link = 'attaching'
        self.ask('attach', self.inc, server.run, LEASE, SETTLE, self.world.fresh(), self.announced)
        self.ask_topic('subscribe', 'p')
        self.trace('connects to %s', server.run)

    def lose(self, what):
        """A connection broke: 'cmd', 'sub' or both."""
        if self.cmd is None:
            return
        self.trace('loses %s', what)
        if what == 'sub' and self.on('fetch_after_resubscribe'):
            self.sub.close()
            self.sub = Conn(self.server)
            self.ask_topic('subscribe', 'p')
            self.resubscribe()
            return
        if what == 'sub':
            live = {c: ch for c, ch in self.chans.items() if ch.sub == 'there'}
            self.sub.close()
            self.sub = Conn(self.server)
            self.ask_topic('subscribe', 'p')
            for c in live:
                self.ask_topic('subscribe', 't/' + c)
            return
        self.cmd.close()
        self.sub.close()
        self.cmd = self.sub = None
        if self.link != 'down':
            self.lost_at = self.world.now
        self.link = 'down'
        self.renewing = self.telling = self.acknowledging = False
        self.reaping = None
        self.gone, self.lapsed = [], set()
        self.owner = False
        self.inflight = []
        for channel, ch in self.chans.items():
            for user in ch.flying:
                ch.held[user] = None
            ch.flying = {}
            if ch.flying_count is not None:
                ch.sent_count, ch.flying_count = None, None
        if self.unacked:
            # asked, and not known whether it was done: again, before what came later
            self.outbox = self.unacked + self.outbox
            self.unacked = []
            self.trim()
        self.resubscribe()

    def resubscribe(self):
        for ch in self.chans.values():
            ch.sub, ch.live, ch.fetching = None, False, False
            ch.buffer, ch.spoilt = [], False
            ch.joined = {}
            for client in ch.clients:
                client.want = None

    def ask_topic(self, name, topic):
        self.sub.up.append((self.world.now, (name, topic)))
        self.sub.asked[topic] = self.sub.asked.get(topic, 0) + 1

    def ask(self, name, *args):
        self.cmd.up.append((self.world.now, (name, args)))
        self.inflight.append((name, args))

    def anew(self, inc=None):
        """Fenced, or the data is another: attach again on the same connection."""
        if inc:
            self.inc = inc
        self.link = 'attaching'
        self.renewing = self.telling = self.acknowledging = self.owner = False
        self.reaping, self.gone, self.lapsed = None, [], set()
        for ch in self.chans.values():
            ch.live = ch.fetching = False
            ch.buffer, ch.spoilt = [], False
            for user in list(ch.held):
                ch.held[user] = None
            ch.flying, ch.joined = {}, {}
            ch.sent_count, ch.flying_count = None, None
            for client in ch.clients:
                client.want = None  # a seq of other data means nothing
        # answers that are still under way belong to what was asked before
        self.inflight = [('stale', ()) for _ in self.inflight]
        self.ask('attach', self.inc, self.server.run, LEASE, SETTLE, self.world.fresh(), self.announced)

    # -- answers ------------------------------------------------------------------------------------------------

    def answer(self, result):
        name, args, *number = self.inflight.pop(0)
        if name == 'fetch':
            args += tuple(number)
        if name == 'stale':
            return
        if name == 'publish':
            self.unacked.pop(0)
            return
        status = result[0]
        if status == FENCED:
            self.nth += 1
            self.trace('is fenced')
            # what it held was taken away, and another node has told webhooks meanwhile
            self.announced = ''
            self.forget_told()
            self.anew('%s.%d' % (self.name, self.nth))
            return
        if status == EPOCH:
            self.trace('hears of another epoch')
            self.anew()
            return
        getattr(self, 'on_' + name)(args, result)

    def on_attach(self, args, result):
        _, epoch, _, unsettled = result
        fresh_start = self.announced == ''
        self.trace('is attached under %s%s', epoch, ', unsettled' if unsettled else '')
        same = epoch == self.epoch and self.announced == epoch
        if self.epoch not in ('', epoch):
            self.doubtful = True
            self.read, self.noted = '0-0', []
        self.epoch = epoch
        self.unsettled = bool(unsettled)
        if not unsettled:
            self.look_back()
        self.renew_at = self.world.now + RENEW
        for ch in self.chans.values():
            if ch.mirror_epoch != epoch:
                ch.live = False
        if same:
            self.link = 'up'
        else:
            self.link = 'reconciling'
            if fresh_start and not any(ch.held for ch in self.chans.values()):
                self.announced = epoch
                self.link = 'up'
            else:
                self.ask('mine', self.inc, self.epoch)
        self.pump()

    def on_mine(self, args, result):
        """What the authority believes that it holds: the difference is asked, then that it was all."""
        held = set(result[1])
        counts = dict(result[2])
        for channel in sorted({c for c, _ in held} | set(counts)):
            self.chan(channel, None)
        for channel, ch in self.chans.items():
            for user in sorted(set(ch.held) | {u for c, u in held if c == channel}):
                ch.held[user] = (channel, user) in held
            ch.sent_count = counts.get(channel, 0)
        self.link = 'up'
        self.pump(force=True)
        self.ask('synced', self.inc, self.epoch)

    def on_synced(self, args, result):
        self.announced = args[1]
        if not result[1]:
            self.settled()

    def on_renew(self, args, result):
        _, unsettled, owner, gone = result
        self.renewing = False
        if self.on('spaced'):
            # not before others have had the time to renew, too: the one before may have been under way for long
            self.renew_at = self.world.now + RENEW
        self.owner = bool(owner)
        if not unsettled:
            if self.unsettled:
                self.settled()
            elif self.doubtful:
                self.look_back()
        if not owner and not self.doubtful:
            self.forget_told()
        # what has just lapsed may only be late: after a pause of the server all are
        self.gone = [i for i in gone if i in self.lapsed or not self.on('twice')]
        self.lapsed = set(gone)
        self.duties()

    def on_join(self, args, result):
        _, _, channel, user = args[:4]
        ch = self.chans.get(channel)
        if ch is None:
            return
        ch.flying.pop(user, None)
        if result[0] == FULL:
            ch.held[user] = False
            for client in list(ch.clients):
                if client.user == user and client.state == 'pending':
                    client.state = 'refused'
                    ch.clients.remove(client)
        else:
            ch.held[user] = True
            ch.joined[user] = result[1]
            for client in ch.clients:
                if client.user == user and client.state == 'pending':
                    client.want = result[1]
                    client.asked_join = client.id <= ch.asked_by.get(user, 0)
        self.pump()

    def on_leave(self, args, result):
        _, _, channel, user = args
        ch = self.chans.get(channel)
        if ch is None:
            return
        ch.flying.pop(user, None)
        ch.held[user] = False
        self.update(channel, ch)
        self.pump()

    def on_count(self, args, result):
        _, _, channel, n = args
        ch = self.chans.get(channel)
        if ch is None:
            return
        ch.sent_count, ch.flying_count = n, None
        self.pump()

    def on_fetch(self, args, result):
        _, channel, number = args
        ch = self.chans.get(channel)
        if ch is None or not ch.fetching or (number != ch.fetch_number and self.on('match_fetch')):
            return
        ch.fetching = False
        if ch.sub != 'there':
            return
        if ch.spoilt:
            ch.spoilt, ch.buffer = False, []
            self.pump()
            return
        _, last, unsettled, members = result
        ch.live, ch.last, ch.mirror_epoch = True, last, self.epoch
        ch.mirror = {u: self.world.tag_of(self.epoch, channel, u, seq) for u, seq, _ in members}
        ch.hold_back = False
        pending, ch.buffer = ch.buffer, []
        if not self.on('buffer_first'):
            self.update(channel, ch)
        for change in pending:
            if ch.live:
                self.change(channel, ch, *change, quiet=True)
        if ch.live:
            self.update(channel, ch)
        if ch.live and ch.heard_of[0] == self.epoch and not self.world.silent:
            require(ch.last >= ch.heard_of[1], '%s: mirror of %s is at %d, and %d has come before', self.name, channel,
                    ch.last, ch.heard_of[1])
        self.pump()

    def on_verify(self, args, result):
        for channel in result[1]:
            ch = self.chans.get(channel)
            mine = [m for m in args[1] if m[0] == channel][0]
            if ch and ch.live and [channel, ch.last, len(ch.mirror)] == mine:
                if ch.suspect == mine:  # twice the same: not only late
                    self.trace('the sweep finds %s wrong', channel)
                    self.world.stat['swept'] += 1
                    ch.live = False
                ch.suspect = mine
        self.pump()

    def on_peek(self, args, result):
        self.ask('reap', self.inc, self.epoch, LEASE, args[0], [tuple(h) for h in result[1]], result[2])

    def on_reap(self, args, result):
        dead, self.reaping = args[3], None
        if result[0] == OK and result[1] > 0:
            self.gone.insert(0, dead)
        self.duties()

    def on_tell(self, args, result):
        self.telling = False
        if result[0] == NOT_OWNER or not result[2]:
            return
        if self.world.now > self.tell_until and self.on('self_fence'):
            self.trace('has slept too long to tell anything')
            return
        for edge_id, kind, channel, user in result[2]:
            self.tell(kind, channel, user)
            self.read = edge_id
            self.noted.append(edge_id)
        self.acknowledge()

    def acknowledge(self):
        if self.noted and not self.acknowledging:
            self.acknowledging = True
            self.ask('told', self.inc, self.epoch, list(self.noted))

    def on_told(self, args, result):
        self.acknowledging = False
        self.noted = [edge_id for edge_id in self.noted if edge_id not in args[2]]
        self.acknowledge()

    def on_check(self, args, result):
        """What was told lately, and is not so: the data went back, and no other node will say it."""
        self.doubtful = False
        for channel, user, there, waiting in result[1]:
            before = self.recent.get((channel, user))
            said = before and before[0] in (OCCUPIED, ADDED)
            if not waiting and before and said != bool(there):
                self.tell(((VACATED, OCCUPIED) if not user else (REMOVED, ADDED))[there], channel, user)

    # -- duties of one: the dead, and webhooks ------------------------------------------------------------------

    def duties(self):
        if self.link != 'up':
            return
        if self.gone and self.reaping is None:
            self.reaping = self.gone.pop(0)
            self.ask('peek', self.reaping, 2)
        if self.owner and not self.telling:
            self.telling = True
            self.tell_until = self.world.now + LEASE - RENEW - 2 * DELAY
            self.ask('tell', self.inc, self.epoch, self.read, 5)
        if self.owner:
            self.acknowledge()  # the answer may have been lost with the link

    def tell(self, kind, channel, user):
        key = (channel, user)
        before = self.recent.get(key)
        if before and before[0] == kind and self.world.now - before[1] < RECENT and self.on('recent'):
            return  # an edge that was told before the data went back a moment
        self.recent[key] = (kind, self.world.now)
        self.world.told(self, kind, channel, user)

    # -- pushes -------------------------------------------------------------------------------------------------

    def push(self, topic, text):
        if topic == 'p':
            if text == 'S ' + self.epoch:
                self.settled()
            return
        channel = topic[2:]
        ch = self.chans.get(channel)
        if ch is None:
            return
        if text.startswith('E'):
            origin, number = text[1:].split(' ')
            number = int(number)
            if origin == self.name and self.on('own_events'):
                return
            if self.seen.get(origin, -1) >= number and self.on('dedupe'):
                return
            self.seen[origin] = max(number, self.seen.get(origin, -1))
            self.deliver(channel, ch, origin, number)
            return
        head, body = text.split('\n', 1)
        seq, prev, epoch = head.split(' ')
        seq, prev = int(seq), int(prev)
        sign, rest = body[0], body[1:]
        length, rest = rest.split(':', 1)
        user = rest[:int(length)]
        if ch.heard_of < (epoch, seq) or ch.heard_of[0] != epoch:
            ch.heard_of = (epoch, seq)
        if ch.live:
            self.change(channel, ch, seq, prev, epoch, sign, user)
            self.pump()
        elif ch.fetching or ch.sub == 'there':
            if len(ch.buffer) < BUFFER:
                ch.buffer.append((seq, prev, epoch, sign, user))
            else:
                ch.spoilt = ch.fetching

    def change(self, channel, ch, seq, prev, epoch, sign, user, quiet=False):
        """One change of a roster, if it is the next one."""
        if epoch != ch.mirror_epoch and self.on('epoch'):
            if epoch == self.epoch:
                ch.live = False  # the mirror is of older data
            return
        if seq <= ch.last:
            return
        fits = prev == ch.last or (prev == 0 and not ch.mirror)
        if not fits and self.on('chain'):
            self.trace('missed a change of %s', channel)
            self.world.stat['gaps'] += 1
            ch.live = False
            return
        ch.last = seq
        if sign == '+':
            tag = self.world.tag_of(epoch, channel, user, seq)
            if not self.on('set'):
                ch.view[user] = tag
                self.announce(ch, '+', user, tag)
            ch.mirror[user] = tag
        else:
            if not self.on('set'):
                ch.view.pop(user, None)
                self.announce(ch, '-', user, None)
            ch.mirror.pop(user, None)
        then = self.world.history.get((epoch, channel, seq))
        if not self.world.silent and then is not None:
            require(set(ch.mirror) == then, '%s: mirror of %s is %s at %d, the authority had %s', self.name, channel,
                    sorted(ch.mirror), seq, sorted(then))
        if not quiet:
            self.update(channel, ch)

    def settled(self):
        """What was held back is looked at again before it is told: a change may be under way still, or lost."""
        if not self.unsettled:
            return
        self.unsettled = False
        self.trace('hears that all is settled')
        for channel, ch in self.chans.items():
            if not self.on('settle_fetch'):
                if ch.live:
                    self.update(channel, ch)
            elif set(ch.view) - set(ch.mirror) - self.local_users(ch):
                ch.live, ch.hold_back = False, True
        self.look_back()
        self.pump()

    def forget_told(self):
        """What it told last is worth knowing only while no other node tells."""
        if self.on('forget_told'):
            if self.recent:
                self.world.teller_changed = True
            self.recent = {}
            self.read, self.noted = '0-0', []

    def look_back(self):
        """The data went back a moment: is what was told lately so?"""
        recent = [k for k, (_, when) in self.recent.items() if self.world.now - when < RECENT]
        if self.doubtful and recent and self.on('check_told'):
            self.ask('check', self.epoch, sorted(recent))  # doubtful until it is answered
        else:
            self.doubtful = False

    # -- what clients here see ----------------------------------------------------------------------------------

    def announce(self, ch, sign, user, tag):
        for client in list(ch.clients):
            if client.state != 'subscribed' or not client.presence or not client.watches:
                continue
            if sign == '+':
                client.added(user, tag)
            else:
                client.removed(user)

    def local_users(self, ch):
        return {c.user for c in ch.clients if c.state == 'subscribed' and c.holds}

    def update(self, channel, ch):
        """Announces the difference between what was announced and what is: the mirror and the users here."""
        if not ch.presence:
            return
        local = self.local_users(ch) if self.on('own_users') else set()
        for user, tag in sorted(ch.mirror.items()):
            if user not in ch.view:
                ch.view[user] = tag
                self.announce(ch, '+', user, tag)
            elif tag is not None:
                ch.view[user] = tag
        for user in sorted(local):
            if user not in ch.view:
                ch.view[user] = None
                self.announce(ch, '+', user, None)
        for user in sorted(ch.view):
            if user in ch.mirror or user in local:
                continue
            if (self.unsettled or ch.hold_back) and self.on('settle'):
                continue  # the node that holds the user has perhaps not said so yet
            if self.link == 'up' and not ch.live and ch.mirror_epoch != self.epoch:
                continue
            if self.is_joining(ch, user) and self.on('caught_up'):
                continue
            del ch.view[user]
            self.announce(ch, '-', user, None)

    def is_joining(self, ch, user):
        """It was told here that the user is there, and the mirror may not have heard of it."""
        if self.link == 'down':
            return False
        return self.link != 'up' or not ch.live or user in ch.flying or ch.held.get(user, False) is not False or \
            ch.last < ch.joined.get(user, 0)

    def deliver(self, channel, ch, origin, number):
        for client in ch.clients:
            if client.state == 'subscribed':
                client.event(origin, number, 0)

    # -- what is wanted, and what is asked for it ---------------------------------------------------------------

    def chan(self, channel, presence):
        ch = self.chans.get(channel)
        if ch is None:
            ch = self.chans[channel] = Chan(self.world.is_presence(channel))
        return ch

    def alone(self):
        return self.link == 'down' and self.world.now - self.lost_at >= ISOLATED

    def pump(self, force=False):
        """Level-triggered: compares what is wanted with what is known, and asks for the difference."""
        up = self.link == 'up'
        for channel in list(self.chans):
            ch = self.chans[channel]
            wanted_users = {c.user for c in ch.clients if c.holds} if ch.presence else set()
            subscriptions = sum(c.state == 'subscribed' and not c.people for c in ch.clients)
            if self.link != 'down' and any(c.watches for c in ch.clients) and ch.sub is None:
                ch.sub = 'asked'
                self.ask_topic('subscribe', 't/' + channel)
            if not self.on('ask_first'):
                self.fetch(channel, ch)
            if up:
                for user in sorted(wanted_users | set(ch.held)):
                    want = user in wanted_users
                    if user in ch.flying:
                        continue
                    known = ch.held.get(user, False)
                    if known == want:
                        if not want:
                            ch.held.pop(user, None)
                        continue
                    ch.flying[user] = want
                    ch.asked_by[user] = Client.number
                    if want:
                        again = force or any(c.user == user and c.state == 'subscribed' for c in ch.clients)
                        self.ask('join', self.inc, self.epoch, channel, user, '{}', self.world.most, again)
                    else:
                        self.ask('leave', self.inc, self.epoch, channel, user)
                if ch.flying_count is None and ch.sent_count != subscriptions:
                    ch.flying_count = subscriptions
                    self.ask('count', self.inc, self.epoch, channel, subscriptions)
            # behind what was asked for the users here, so that it has none who left while there was no link
            self.fetch(channel, ch)
            self.complete(channel, ch)
            if not ch.clients and not ch.held and not ch.flying and ch.flying_count is None and \
                    ch.sent_count == 0:
                if self.sub and ch.sub:
                    self.ask_topic('unsubscribe', 't/' + channel)
                del self.chans[channel]
        if up and self.outbox:
            for channel, number in self.outbox:
                self.send(channel, number)
            self.outbox = []

    def fetch(self, channel, ch):
        if self.link != 'up' or not ch.presence or ch.live or ch.fetching or not any(c.watches for c in ch.clients) or \
                (ch.sub != 'there' and self.on('subscribe_first')):
            return
        ch.fetching = True
        # numbered by the node: a channel that goes and comes must not take an answer to its former self
        self.fetches += 1
        ch.fetch_number = self.fetches if self.on('match_fetch') else 0
        ch.buffer, ch.spoilt = [], False
        self.ask('fetch', self.epoch, channel)
        self.inflight[-1] += (ch.fetch_number,)

    def complete(self, channel, ch):
        """Answers those who wait, if it is time."""
        for client in list(ch.clients):
            if client.state != 'pending':
                continue
            waited = self.world.now - client.asked
            if self.link == 'up' and ch.sub == 'there':
                if not ch.presence:
                    client.subscribed({})
                    continue
                if client.people:
                    if ch.live or not self.on('wait_for_seq'):
                        client.subscribed(ch.view)
                    continue
                ready = ch.live and ch.held.get(client.user) and client.user not in ch.flying
                if client.want is None and ready:
                    client.want = ch.last if client.user in ch.mirror else None
                if ready and client.want is not None and \
                        (ch.last >= client.want or not self.on('wait_for_seq')):
                    self.let_in(channel, ch, client)
            elif self.link == 'down' and waited >= JOIN_WAIT:
                self.let_in(channel, ch, client)

    def let_in(self, channel, ch, client):
        if not ch.presence:
            client.subscribed({})
            return
        if client.people:
            client.subscribed(ch.view)
            return
        if client.user not in ch.view:
            # there is no link: it is announced from here
            ch.view[client.user] = None
            self.announce(ch, '+', client.user, None)
        client.subscribed(ch.view)
        self.update(channel, ch)
        ch.left.discard(client.user)

    # -- what clients do ----------------------------------------------------------------------------------------

    def join(self, channel, user):
        ch = self.chan(channel, True)
        client = Client(self, channel, user, ch.presence)
        ch.clients.append(client)
        self.world.clients.append(client)
        self.trace('c%d (%s) wants %s', client.id, user, channel)
        if client.people and client.holds:
            # it waits for nothing, and is told at once
            client.state = 'subscribed'
            if sum(c.holds for c in ch.clients) == 1:
                self.world.came[channel] = self.world.came.get(channel, 0) + 1
            if user not in ch.view:
                ch.view[user] = None
                self.announce(ch, '+', user, None)
        self.pump()

    def part(self, client):
        ch = self.chans[client.channel]
        ch.clients.remove(client)
        was = client.state
        client.state = 'gone'
        self.trace('c%d (%s) leaves %s', client.id, client.user, client.channel)
        self.world.truth_check(client.channel, client.user)
        if client.holds and was == 'subscribed' and self.link == 'down':
            if client.user not in ch.mirror:
                self.update(client.channel, ch)
            else:
                ch.left.add(client.user)
        self.pump()

    def publish(self, channel):
        if channel.startswith('#'):
            return
        self.sent += 1
        number = self.sent
        self.trace('publishes %d to %s', number, channel)
        self.world.published += 1
        ch = self.chans.get(channel)
        self.world.sent_event(self, channel, number)
        if ch:
            self.deliver(channel, ch, self.name, number)
        if self.link == 'up':
            self.send(channel, number)
        else:
            self.outbox.append((channel, number))
            self.trim()

    def trim(self):
        while len(self.outbox) > OUTBOX:
            self.outbox.pop(0)
            self.world.stat['dropped'] += 1
            self.world.faulty = True

    def send(self, channel, number):
        self.cmd.up.append((self.world.now, ('publish', ('t/' + channel, 'E%s %d' % (self.name, number)))))
        self.inflight.append(('publish', ()))
        self.unacked.append((channel, number))

    # -- time ---------------------------------------------------------------------------------------------------

    def tick(self):
        now = self.world.now
        if self.link == 'up' and now >= self.renew_at and not self.renewing:
            self.renewing = True
            self.renew_at = now + RENEW
            self.ask('renew', self.inc, self.epoch, self.server.run, LEASE)
        if self.link == 'up' and now >= self.sweep_at and self.on('sweep'):
            self.sweep_at = now + SWEEP
            mirrors = [[c, ch.last, len(ch.mirror)] for c, ch in sorted(self.chans.items()) if ch.live]
            if mirrors:
                self.ask('verify', self.epoch, mirrors)
        if self.link == 'up':
            self.duties()
        if self.alone():
            for channel, ch in self.chans.items():
                if ch.left:
                    for user in ch.left - self.local_users(ch):
                        ch.mirror.pop(user, None)
                    ch.left = set()
                    self.update(channel, ch)
        self.pump()


class World:
    def __init__(self, seed, off=(), faults=True, nodes=3, steps=250, kinds=None, keep_trace=False, people=False):
        self.seed, self.off = seed, frozenset(off)
        self.rng = random.Random(seed)
        self.now = 1000
        self.lines = [] if keep_trace else None
        self.stat = dict.fromkeys(('added', 'removed', 'heard', 'gaps', 'swept', 'dropped', 'told', 'reaped', 'failovers'), 0)
        self.fresh_count = 0
        self.faulty = False
        self.faults = faults
        self.kinds = kinds
        self.most = self.rng.choice((3, 100))
        self.published = 0
        self.clients, self.nodes, self.all_nodes = [], [], []
        self.truth, self.truth_tag, self.tags, self.next_tag = {}, {}, {}, 0
        self.came = {}              # channel of a user -> how often it came to a node
        self.endpoint = {}          # (channel, user) -> what webhooks said last
        self.teller, self.teller_changed = None, False
        self.silent, self.flushed = False, False
        self.history = {}           # (epoch, channel, seq) -> who was in then
        self.sent_events = []
        self.current = Server(self, 'r1', Partition(self.off))
        self.old = []               # servers that some nodes still talk to
        self.replica = self.current.state.copy()
        self.replica_at = 0
        self.runs = 1
        self.channels = ['presence-a', 'presence-b', 'public-c']
        self.users = ['u1', 'u2', 'u3', 'u4']
        # what happens how often, added up: a message moves, time passes, a client joins, leaves, publishes, the
        # replica catches up; the rest are faults
        self.pace = ((0.52, 0.62, 0.74, 0.84, 0.91, 0.95), (0.74, 0.79, 0.87, 0.91, 0.95, 0.97),
                     (0.80, 0.83, 0.89, 0.94, 0.96, 0.98), (0.60, 0.75, 0.83, 0.88, 0.92, 0.95))[seed % 4]
        self.slow_topics = seed % 5 < 2     # answers overtake messages
        if seed % 3 == 0:
            self.channels, self.users = self.channels[1:], self.users[:3]
        if people:  # watchlists: who has signed in holds the user, who watches follows the roster
            self.channels = ['#user-u1', '#user-u2']
            self.most = 100
        self.node_count = 0
        Client.number = 0
        for _ in range(nodes):
            self.new_node()
        self.steps = steps

    def trace(self, text):
        if self.lines is not None:
            self.lines.append('%6d  %s' % (self.now, text))

    def is_presence(self, channel):
        return channel.startswith(('presence-', '#'))

    def fresh(self):
        self.fresh_count += 1
        return 'e%d' % self.fresh_count

    def new_node(self):
        self.node_count += 1
        node = Node(self, 'n%d' % self.node_count)
        self.nodes.append(node)
        self.all_nodes.append(node)
        node.connect(self.current)

    # -- what is true -------------------------------------------------------------------------------------------

    def holders(self, channel, user):
        """Incarnations that really hold the user, as far as the authority has heard of it."""
        found = set()
        for node in self.nodes:
            ch = node.chans.get(channel)
            if ch and any(c.user == user for c in ch.clients) and \
                    (channel, user) in self.current.state.hold.get(node.inc, ()):
                found.add(node.inc)
        return found

    def truth_check(self, channel, user):
        """An unbroken time ends when no node holds the user any more."""
        key = (channel, user)
        if key in self.truth_tag and not self.truly(channel, user):
            del self.truth_tag[key]

    def truly(self, channel, user):
        there = self.truth.get((channel, user), set())
        for node in self.nodes:
            ch = node.chans.get(channel)
            if not ch or not any(c.user == user for c in ch.clients):
                there.discard(node.name)
        return bool(there)

    def well_held(self, channel, user):
        """By a node that was not away for as long as a lease."""
        return any(n.name in self.truth.get((channel, user), ()) and n.bad_time < LEASE - RENEW - 3 * DELAY
                   for n in self.nodes)

    def joined(self, node_inc, channel, user):
        name = node_inc.split('.')[0]
        node = next((n for n in self.nodes if n.name == name), None)
        if node is None or node.inc != node_inc:
            return
        ch = node.chans.get(channel)
        if not ch or not any(c.user == user for c in ch.clients):
            return
        key = (channel, user)
        self.truth.setdefault(key, set()).add(name)
        if key not in self.truth_tag:
            self.next_tag += 1
            self.truth_tag[key] = self.next_tag

    def tag_of(self, epoch, channel, user, seq):
        return self.tags.get((epoch, channel, user, seq))

    def forget_node(self, name):
        for key in list(self.truth):
            self.truth[key].discard(name)
            self.truth_check(*key)

    def told(self, node, kind, channel, user):
        key = (channel, user)
        up = kind in (OCCUPIED, ADDED)
        before = self.endpoint.get(key, False)
        self.stat['told'] += 1
        if self.teller not in (None, node.name):
            self.teller_changed = True
        self.teller = node.name
        if not self.teller_changed:
            require(before != up, 'webhook %s of %s %s is told twice in a row', kind, channel, user)
        self.trace('    webhook from %s: %s %s %s' % (node.name, kind, channel, user))
        self.endpoint[key] = up

    def sent_event(self, node, channel, number):
        due = [c for c in self.clients if c.state == 'subscribed' and c.channel == channel and
               c.node.state != 'dead']
        self.sent_events.append((node.name, number, due))

    # -- steps --------------------------------------------------------------------------------------------------

    def serve(self, conn, which, node):
        """The server takes the next thing that a node sent."""
        _, (name, args) = conn.up.pop(0)
        server = conn.server
        if which == 'sub':
            conns = server.subs.setdefault(args, [])
            if name == 'subscribe' and conn not in conns:
                conns.append(conn)
            elif name == 'unsubscribe' and conn in conns:
                conns.remove(conn)
            conn.down.append((self.now, (name, args, None)))
            return
        if name == 'publish':
            server.publish(*args)
            conn.down.append((self.now, [OK]))
            return
        if name == 'reap':
            self.check_reap(server, args)
        state = server.state
        result = server.call(name, args)
        if name not in ('renew', 'tell', 'told', 'peek'):
            self.trace('    %s does %s%s for %s: %s' % (server.run, name, args[2:] if name != 'attach' else args[:1],
                                                        node.name, result))
        conn.down.append((self.now, result))
        if server is self.current:
            if name == 'join' and result[0] == OK:
                self.joined(args[0], args[2], args[3])
                key = (args[2], args[3])
                seq = state.roster.get(args[2], {}).get(args[3], [0, 0])[1]
                self.tags.setdefault((state.epoch, args[2], args[3], seq), self.truth_tag.get(key))
            if name == 'reap' and result[0] == OK and args[3] not in state.nodes:
                self.forget_inc(args[3])

    def forget_unknown(self):
        """After all data was deleted the authority does not know a node that has not attached again: if it is late, it is not missed."""
        for node in self.nodes:
            able = node.state == 'running' and node.cmd is not None and not self.current.stalled
            if node.inc not in self.current.state.nodes and not able:
                self.forget_node(node.name)

    def forget_inc(self, inc):
        name = inc.split('.')[0]
        node = next((n for n in self.nodes if n.name == name), None)
        if node is None or node.inc == inc:
            self.forget_node(name)

    def check_reap(self, server, args):
        dead = args[3]
        if dead not in server.state.nodes or server is not self.current:
            return
        node = next((n for n in self.nodes if n.inc == dead), None)
        if node is None or server.state.nodes[dead] >= self.now:
            return
        state = server.state
        if 'continuity' not in self.off and state.since.get(args[0], 0) > self.now - LEASE or \
                'awake' not in self.off and state.nodes.get(args[0], 0) < self.now:
            return
        if args[1] != state.epoch and 'epoch' not in self.off:
            return
        self.stat['reaped'] += 1
        if node.was_well:
            require(node.bad_time >= LEASE - RENEW - 3 * DELAY, '%s is reaped when it was away for %d', node.name,
                    node.bad_time)

    def take(self, conn, which, node):
        """A node takes the next thing that the server sent."""
        _, item = conn.down.pop(0)
        if which == 'cmd':
            node.answer(item)
        elif item[0] in ('subscribe', 'unsubscribe'):
            topic = item[1]
            ch = node.chans.get(topic[2:])
            conn.asked[topic] -= 1
            # only the answer to what was asked last says how it is now
            if item[0] == 'subscribe' and ch and topic.startswith('t/') and \
                    (conn.asked[topic] == 0 or not node.on('match_acks')):
                ch.sub = 'there'
                node.pump()
        else:
            node.push(item[1], item[2])

    def pipes(self):
        found = []
        for node in self.nodes:
            for which in ('cmd', 'sub'):
                conn = getattr(node, which)
                if conn is None:
                    continue
                if conn.up and not conn.server.stalled:
                    found.append((conn.up[0][0], 0, conn, which, node))
                if conn.down and node.state == 'running':
                    found.append((conn.down[0][0], 1, conn, which, node))
        return found

    def replicate(self, count):
        log = self.current.log
        for _ in range(count):
            if self.replica_at >= len(log):
                return
            name, now, args = log[self.replica_at]
            getattr(self.replica, name)(now, *args)
            self.replica.out = []
            self.replica_at += 1

    def advance(self, units):
        for _ in range(units):
            old = [p for p in self.pipes() if self.now - p[0] >= DELAY]
            if old:
                self.move(min(old, key=lambda p: (p[0], p[1])))
                continue
            self.now += 1
            for node in self.nodes:
                able = node.state == 'running' and node.cmd is not None and node.server is self.current and \
                    not self.current.stalled
                if not able:
                    node.able_from = None
                    if node.state != 'running' or node.cmd is None or not self.current.stalled:
                        node.bad_time += 1
                elif node.able_from is None:
                    node.able_from = self.now
                elif self.now - node.able_from >= RENEW + 3 * DELAY:
                    node.was_well, node.bad_time = True, 0
                if node.state == 'running':
                    node.tick()

    def move(self, pipe):
        _, direction, conn, which, node = pipe
        if direction == 0:
            self.serve(conn, which, node)
        else:
            self.take(conn, which, node)

    def failover(self, split, silent=False):
        """`silent`: something in between moves the connections without breaking them."""
        while self.replica_at < len(self.current.log) and self.current.log[self.replica_at][1] < self.now - LAG:
            self.replicate(1)
        lost = len(self.current.log) - self.replica_at
        self.stat['failovers'] += 1
        self.faulty = True
        self.runs += 1
        before = self.current
        self.current = Server(self, 'r%d' % self.runs, self.replica)
        self.replica = self.current.state.copy()
        self.replica_at = 0
        self.trace('failover to %s, %d writes lost%s' % (self.current.run, lost,
                                                         ', split' if split else ', silent' if silent else ''))
        self.current.stalled = before.stalled
        if silent:
            self.teller_changed = self.silent = True  # until a node notices, all work on old data
            self.current.subs, before.subs = before.subs, {}
            for node in self.nodes:
                if node.server is before:
                    node.server = self.current
                    if node.cmd:
                        node.cmd.server = node.sub.server = self.current
            return
        for node in self.nodes:
            if node.server is before:
                if split and self.rng.random() < 0.5:
                    if before not in self.old:
                        self.old.append(before)
                    continue
                node.lose('both')

    def one_step(self):
        rng = self.rng
        running = [n for n in self.nodes if n.state == 'running']
        r = rng.random()
        pipes = self.pipes()
        move, wait, join, part, publish, copy = self.pace
        if r < move and pipes:
            pipe = rng.choice(pipes)
            if self.slow_topics and pipe[1] == 1 and pipe[3] == 'sub' and rng.random() < 0.8:
                pipe = rng.choice(pipes)
            self.move(pipe)
        elif r < wait:
            self.advance(rng.choice((1, 1, 2, 5)))
        elif r < join:
            if running:
                node = rng.choice(running)
                mine = [c for c in self.clients if c.node is node and c.state in ('pending', 'subscribed')]
                if len(mine) < 5:
                    channel, user = rng.choice(self.channels), rng.choice(self.users)
                    if channel.startswith('#'):
                        user = channel[6:] if user in self.users[:2] else None
                    node.join(channel, user)
        elif r < part:
            there = [c for c in self.clients if c.state in ('pending', 'subscribed') and c.node.state == 'running']
            if there:
                client = rng.choice(there)
                client.node.part(client)
        elif r < publish:
            if running:
                rng.choice(running).publish(rng.choice(self.channels))
        elif r < copy:
            self.replicate(rng.randint(1, 8))
        elif self.faults:
            self.fault()
            if self.flushed:
                self.forget_unknown()

    def fault(self):
        rng = self.rng
        kinds = self.kinds or ('drop_sub', 'drop_cmd', 'reconnect', 'reconnect', 'reconnect', 'pause', 'resume',
                               'crash', 'start', 'failover', 'stall', 'long', 'heal', 'blip', 'vanish', 'swap', 'flush', 'nap')
        kind = rng.choice(kinds)
        running = [n for n in self.nodes if n.state == 'running']
        paused = [n for n in self.nodes if n.state == 'paused']
        connected = [n for n in running if n.cmd is not None]
        if kind == 'drop_sub' and connected:
            self.faulty = True
            rng.choice(connected).lose('sub')
        elif kind == 'drop_cmd' and connected:
            self.faulty = True
            rng.choice(connected).lose('both')
        elif kind == 'reconnect':
            down = [n for n in running if n.cmd is None]
            if down and not self.current.stalled:
                rng.choice(down).connect(self.current)
        elif kind == 'blip' and connected:
            self.faulty = True
            node = rng.choice(connected)
            node.lose('both')
            node.connect(self.current)
        elif kind == 'vanish':
            # a message that is lost without any connection breaking
            full = [n.sub for n in self.nodes if n.sub and any(i[1][0] == 'push' for i in n.sub.down)]
            if full:
                self.faulty = True
                down = rng.choice(full).down
                down.pop(rng.choice([i for i, m in enumerate(down) if m[1][0] == 'push']))
        elif kind == 'swap' and not self.old and rng.random() < 0.4:
            self.replicate(rng.randint(0, 12))
            self.failover(split=False, silent=True)
        elif kind == 'flush' and rng.random() < 0.2:
            self.faulty = True
            self.stat['failovers'] += 1
            self.teller_changed = True  # what was told, and what was not told yet, is forgotten
            self.flushed = True
            self.trace('all data is deleted')
            log = self.current.log
            self.current.state.__init__(self.off)
            self.replica = self.current.state.copy()
            self.replica_at = len(log)
        elif kind == 'pause' and len(running) > 1:
            node = rng.choice(running)
            self.faulty = True
            node.state = 'paused'
            node.trace('is paused')
        elif kind == 'resume' and paused:
            node = rng.choice(paused)
            node.state = 'running'
            node.trace('wakes up')
        elif kind == 'crash' and len(self.nodes) > 1 and rng.random() < 0.6:
            self.crash(rng.choice(self.nodes))
        elif kind == 'start' and len(self.nodes) < 4 and not self.current.stalled:
            self.new_node()
        elif kind == 'failover' and rng.random() < 0.5:
            self.replicate(rng.randint(0, 12))
            self.failover(split=rng.random() < 0.25)
        elif kind == 'heal' and self.old:
            self.heal()
        elif kind == 'stall':
            if self.current.stalled:
                self.goes_on()
            elif rng.random() < 0.4:
                self.faulty = True
                self.current.stalled = True
                self.stalled_at = self.now
                self.bad_then = {n.name: n.bad_time for n in self.nodes}
                self.trace('Redis stops for a while')
        elif kind == 'nap' and not self.current.stalled:
            # Redis stands still for a little less than a lease, having served all that waited
            self.advance(3 * DELAY)
            self.faulty = True
            self.current.stalled, self.stalled_at = True, self.now
            self.bad_then = {n.name: n.bad_time for n in self.nodes}
            self.trace('Redis naps')
            self.advance(LEASE - rng.randint(2, RENEW))
            self.goes_on()
        elif kind == 'long':
            self.trace('much time passes')
            self.advance(rng.choice((10, 30, LEASE + 10)))

    def goes_on(self):
        self.current.stalled = False
        self.trace('Redis goes on')
        if self.now - self.stalled_at >= LEASE:
            for node in self.nodes:
                # no node could be heard of meanwhile: that was no fault of theirs
                if node.state == 'running':
                    node.bad_time = min(node.bad_time, self.bad_then.get(node.name, 0))

    def heal(self):
        for server in self.old:
            for node in self.nodes:
                if node.server is server and node.cmd is not None:
                    node.lose('both')
        self.old = []

    def crash(self, node):
        self.faulty = True
        node.trace('dies')
        if node.recent:
            self.teller_changed = True  # and with it what it remembered
        if node.cmd:
            node.cmd.close()
            node.sub.close()
            # what it had sent may still arrive
            if node.cmd.up and self.rng.random() < 0.5:
                for _, (name, args) in node.cmd.up[:self.rng.randint(0, len(node.cmd.up))]:
                    if name == 'publish':
                        node.server.publish(*args)
                    elif not node.server.stalled and name != 'reap':
                        node.server.call(name, args)
        node.state = 'dead'
        self.nodes.remove(node)
        for client in self.clients:
            if client.node is node:
                client.state = 'gone'
        node.chans = {}
        self.forget_node(node.name)

    # -- the run ------------------------------------------------------------------------------------------------

    def drain(self):
        for _ in range(20000):
            pipes = self.pipes()
            if not pipes:
                return
            self.move(self.rng.choice(pipes))
        raise Broken('it never comes to rest')

    def run(self):
        for _ in range(3):
            self.drain()
            self.advance(RENEW)
        for _ in range(self.steps):
            self.one_step()
        self.trace('--- no more faults ---')
        if self.current.stalled:
            self.goes_on()
        self.heal()
        for node in self.nodes:
            node.state = 'running'
        for n in range(60):
            for node in self.nodes:
                if node.cmd is None:
                    node.connect(self.current)
            self.drain()
            if n >= 12 and not self.current.state.edges:
                break
            self.advance(RENEW)
        self.drain()
        self.check_end()

    def check_end(self):
        state = self.current.state
        require(state.unsettled == 0, 'it never settles')
        alive = {n.inc for n in self.nodes}
        require(set(state.nodes) == alive, 'incarnations %s, should be %s', sorted(state.nodes), sorted(alive))
        require(not state.dying, 'the dead are not all buried')
        truth = {}
        totals = {}
        for node in self.nodes:
            require(node.link == 'up', '%s has no link at the end', node.name)
            for channel, ch in node.chans.items():
                for c in ch.clients:
                    require(c.state == 'subscribed', 'c%d waits for ever', c.id)
                    if not c.people:
                        totals[channel] = totals.get(channel, 0) + 1
                    if c.holds:
                        truth.setdefault(channel, set()).add(c.user)
        for node in self.nodes:
            for channel, ch in node.chans.items():
                for c in ch.clients:
                    if ch.presence and c.watches:
                        there = truth.get(channel, set())
                        require(c.roster == there, 'c%d at %s believes %s in %s, true is %s', c.id,
                                node.name, sorted(c.roster), channel, sorted(there))
        for channel, users in truth.items():
            require(set(state.roster.get(channel, {})) == users, 'the authority has %s in %s, true is %s',
                    sorted(state.roster.get(channel, {})), channel, sorted(users))
        for channel in state.roster:
            require(not state.roster[channel] or channel in truth, 'ghosts in %s: %s', channel,
                    sorted(state.roster[channel]))
        require(state.total == totals, 'totals %s, should be %s', state.total, totals)
        for channel, members in state.roster.items():
            for user, (n, _, _) in members.items():
                holders = sum((channel, user) in h for h in state.hold.values())
                require(n == holders, '%s in %s counts %d holders of %d', user, channel, n, holders)
        require(not state.edges, 'webhooks are not all told')
        # webhooks say in the end what is true, unless the data went back and the owner was lost as well
        if not (self.teller_changed and self.stat['failovers']):
            for (channel, user), up in self.endpoint.items():
                real = user in truth.get(channel, ()) if user else channel in totals
                require(up == real, 'webhooks end with %s %s %s', channel, user, up)
            for channel in totals:
                require(self.endpoint.get((channel, '')), 'no webhook told that %s is occupied', channel)
        if not self.faulty:
            require(not self.stat['gaps'] and not self.stat['swept'], 'a change was missed, and nothing broke')
            for origin, number, due in self.sent_events:
                for c in due:
                    if c.state == 'subscribed':
                        require((origin, number) in c.events, 'c%d missed event %s/%d', c.id, origin, number)
