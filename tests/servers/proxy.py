# SPDX-License-Identifier: Apache-2.0
"""A bad network between a client and a server, for tests and benchmarks.

    with proxy.Proxy("127.0.0.1", server.port, latency=0.01, bandwidth=8 << 20) as link:
        link.port                 # connect here (MongoDB clients: directConnection=true)
        link.set(stalled=True)    # nothing moves, connections stay open
    link.set(stalled="down")  # likewise, but the server still hears what it is told
        link.set(refusing=True)   # new connections are closed at once
        link.cut()                # every connection is reset
        link.cut(after=5000)      # likewise, in the middle of what they carry, so many bytes from now
        link.freeze(1)            # so many connections that carry much down from now on stand still for ever
        link.counts()             # {"connections": 3, "up": bytes, "down": bytes}

latency is in seconds and per direction; bandwidth in bytes per second, for each
direction, shared by all connections; `each` is that of one connection. It knows nothing of what it carries, and
runs as a process of its own: it does not share the interpreter of what it measures.
"""
import argparse
import asyncio
import json
import os
import pathlib
import subprocess
import sys

PIECE = 256 << 10
PIECES_IN_FLIGHT = 256
MUCH = 32 << 10


CREDIT_SECONDS = 0.005   # a sleep that came back late is made up for

class Proxy:
    """The handle of a proxy process."""

    def __init__(self, host, port, **settings):
        self.process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).resolve()), host, str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.set(**settings)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def set(self, **settings):
        """latency, bandwidth and each (0: unlimited), stalled, refusing; the others stay as they are."""
        self.ask(set=settings)

    def cut(self, after=0):
        self.ask(cut=after)

    def freeze(self, connections):
        self.ask(freeze=connections)

    def counts(self):
        return self.ask()

    def stop(self):
        """The process ends when its input does."""
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Network:
    """The proxy process itself: the settings, the counts and the open connections."""

    def __init__(self, host, port):
        self.host, self.port = host, port
        self.settings = {"latency": 0.0, "bandwidth": 0, "each": 0, "stalled": False, "refusing": False}
        self.moving = {"up": asyncio.Event(), "down": asyncio.Event()}
        self.counts = {"connections": 0, "up": 0, "down": 0}
        self.free_at = {"up": 0.0, "down": 0.0}     # when the wire has sent what it was given
        self.writers = set()
        self.cut_after = None       # bytes; None: it is not to happen
        self.to_freeze = 0          # connections
        self.move()

    async def connected(self, reader, writer):
        if self.settings["refusing"]:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            writer.transport.abort()
            return
        self.counts["connections"] += 1
        self.writers |= {writer, far_writer}
        await asyncio.gather(self.carry(reader, far_writer, "up"),
                             self.carry(far_reader, writer, "down"))
        self.writers -= {writer, far_writer}

    async def carry(self, reader, writer, direction):
        """Moves one direction of one connection until either end closes."""
        pieces = asyncio.Queue(PIECES_IN_FLIGHT)
        free_at = [0.0]     # when the connection has sent what it was given
        taking = asyncio.ensure_future(self.take(reader, pieces))
        try:
            while (piece := await pieces.get())[1]:
                await self.deliver(*piece, writer, direction, free_at)
        except OSError:
            pass
        taking.cancel()
        writer.close()

    async def take(self, reader, pieces):
        loop = asyncio.get_running_loop()
        data = b"first"
        while data:
            try:
                data = await reader.read(PIECE)
            except OSError:
                data = b""
            await pieces.put((loop.time() + self.settings["latency"], data))

    async def deliver(self, due, data, writer, direction, free_at):
        loop = asyncio.get_running_loop()
        if self.settings["each"]:
            sent = max(loop.time() - CREDIT_SECONDS, free_at[0])
            free_at[0] = sent + len(data) / self.settings["each"]
            due = max(due, free_at[0])
        if self.settings["bandwidth"]:
            sent = max(loop.time() - CREDIT_SECONDS, self.free_at[direction])
            self.free_at[direction] = sent + len(data) / self.settings["bandwidth"]
            due = max(due, self.free_at[direction])
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        await self.moving[direction].wait()
        if self.to_freeze and direction == "down" and len(data) >= MUCH:
            self.to_freeze -= 1
            await asyncio.Event().wait()
        if self.cut_after is not None and self.cut_after < len(data):
            writer.write(data[:self.cut_after])
            self.cut()
        elif self.cut_after is not None:
            self.cut_after -= len(data)
        writer.write(data)
        await writer.drain()
        self.counts[direction] += len(data)

    def cut(self):
        self.cut_after = None
        for writer in self.writers:
            writer.transport.abort()

    def move(self):
        for direction, moving in self.moving.items():
            if self.settings["stalled"] in (True, direction):
                moving.clear()
            else:
                moving.set()

    def obey(self, request):
        self.settings |= request.get("set", {})
        self.move()
        self.cut_after = request.get("cut", self.cut_after)
        self.to_freeze = request.get("freeze", self.to_freeze)
        if self.cut_after == 0:
            self.cut()
        print(json.dumps(self.counts), flush=True)


async def serve(host, port):
    network = Network(host, port)
    server = await asyncio.start_server(network.connected, "127.0.0.1", 0, limit=PIECE)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    requests = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while line := await requests.readline():
        network.obey(json.loads(line))
    os._exit(0)     # nothing to save, and no connection is worth waiting for


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="carry TCP connections over a bad network")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.host, arguments.port))
