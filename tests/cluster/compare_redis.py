#!/usr/bin/env python3
"""
The scripts in a real Redis against the model, as compare.py holds the library's authority against it.

    compare_redis.py HOST [--operations N] [--seed N] [--server redis-server]     HOST: the program made of redis_host.c

Exit status 77: there is no server to run.
"""
import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from compare import Library, Partition, Schedule, Steps, run

TTL = 10 ** 9  # the operations bring their own time, which Redis does not expire keys by


class Client:
    """Commands one after the other."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port))
        self.file = self.socket.makefile('rb')

    def call(self, *words):
        words = [w.encode() if isinstance(w, str) else w for w in words]
        self.socket.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words))
        return self.read()

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b'*':
            return [self.read() for _ in range(int(rest))]
        if kind == b'$':
            return None if rest == b'-1' else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b'-':
            raise RuntimeError(rest.decode())
        return int(rest) if kind == b':' else rest.decode()


def start(program, directory):
    """A server on a free port. Another program may take the port first: then on another one."""
    for _ in range(10):
        with socket.create_server(('127.0.0.1', 0)) as s:
            port = s.getsockname()[1]
        server = subprocess.Popen([program, '--port', str(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory],
                                  stdout=subprocess.DEVNULL)
        while server.poll() is None:
            try:
                return server, port, Client(port)
            except OSError:
                time.sleep(0.02)
    sys.exit('the server does not start')


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def unpack(text):
    length, rest = text.encode().split(b':', 1)
    return [rest[:int(length)].decode(), rest[int(length):].decode()]


class Redis(Library):
    def __init__(self, host, port, client):
        super().__init__(host, str(port))
        self.c, self.x = client, self.process.stdout.readline().decode().strip()

    def keys(self, kind):
        """What stands behind the kind in names of keys, and the key."""
        return [(k[len(self.x + kind):], k) for k in sorted(self.c.call('KEYS', self.x.replace('{', '[{]') + kind + '*'))]

    def dump(self):
        c, x = self.c, self.x
        meta = pairs(c.call('HGETALL', x + 'meta'))
        nodes, since = pairs(c.call('ZRANGE', x + 'nodes', '0', '-1', 'WITHSCORES')), pairs(c.call('HGETALL', x + 'since'))
        unsynced, dying = c.call('SMEMBERS', x + 'unsynced'), c.call('SMEMBERS', x + 'dying')
        names = sorted(set(nodes) | set(dying))
        incarnations = [[n, n in nodes, n in unsynced, n in dying, int(nodes.get(n, 0)), int(since.get(n, 0)),
                         [unpack(h) for h in c.call('SMEMBERS', x + 'h:' + n)],
                         [[k, int(v)] for k, v in pairs(c.call('HGETALL', x + 'c:' + n)).items()]] for n in names]
        totals = {}
        for _, key in self.keys('a:'):
            totals.update(pairs(c.call('HGETALL', key)))
        rosters = {name: pairs(c.call('HGETALL', key)) for name, key in self.keys('r:')}
        channels = []
        for name in sorted(set(totals) | set(rosters)):
            members = rosters.get(name, {})
            last = int(members.pop('', 0))
            split = [[u] + v.split(' ', 2) for u, v in sorted(members.items())]
            channels.append([name, int(totals.get(name, 0)), last, [[u, int(n), int(s), i] for u, n, s, i in split]])
        edges = [[f[1], f[3], f[5]] for _, f in c.call('XRANGE', x + 'edges', '-', '+')]
        # Nothing else is left behind.
        left = {n for kind in ('h:', 'c:') for n, _ in self.keys(kind)} - set(names) | set(since) - set(nodes)
        return [[meta.get('e', ''), meta.get('r', ''), int(meta.get('s', 0)), meta.get('o', ''), int(meta.get('u', 0))],
                incarnations, channels, edges + [['left behind', n, ''] for n in sorted(left)]]


class RedisSteps(Steps):
    def kept(self, us, now, *args):
        want, got = super().kept(us, now, *args)
        if len(got) == 4 and 0 < int(got[3]) <= TTL and len(want) == 4:
            got[3] = want[3]  # by another clock
        return want, got


class LongLived(Schedule):
    TTLS = (TTL,)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('host')
    p.add_argument('--operations', type=int, default=10000)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--server', default='redis-server')
    a = p.parse_args()
    if not shutil.which(a.server):
        print('no', a.server)
        return 77
    with tempfile.TemporaryDirectory() as directory:
        server, port, client = start(a.server, directory)
        try:
            model = Partition()
            return run(RedisSteps(model, Redis(a.host, port, client)), LongLived(a.seed, model), a.operations)
        finally:
            server.kill()
            server.wait()


if __name__ == '__main__':
    sys.exit(main())
