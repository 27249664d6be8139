#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""net_client.py: plays the monitor for mayfly-net: opens a device and works its rings.

usage: net_client.py MAYFLY-NET SPEC     or     net_client.py wire IFNAME

Prints what mayfly-net answered, as KEY=VALUE..., then an answer line for each line of its input:

  send HEX          a frame: "sent"
  hear SECONDS      the next frame of ethertype 88b5 (for experiments: IEEE 802), in
                    hexadecimal, or "none"; others (the kernel's own) are dropped
  arp SECONDS       the next ARP frame, the same way
  udp SECONDS       the next UDP datagram: "complete" or "partial", as its checksum is
  watch             what was last said of the interface: "up", "down", "gone" or "nothing"
  misuse            asks for the interface where that is said, and hears the question itself: "itself"
  fds               how many descriptors came with the answer

"wire" is a packet socket instead: whoever is at the other side. Where open fails, mayfly-net's
message and exit status are this program's.
"""
import array
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import time

BUFFERS, FRAME, OFF_BUFFERS = 256, 2048, 0x20000  # noxs/net.h
AF_XDP, SOL_XDP, XDP_MMAP_OFFSETS = 44, 283, 1  # linux/if_xdp.h
PGOFF = {"rx": 0, "tx": 0x80000000, "fill": 0x100000000, "comp": 0x180000000}
ETHERTYPES = {"hear": bytes.fromhex("88b5"), "arp": bytes.fromhex("0806"),
              "udp": bytes.fromhex("0800")}


def open_device(helper, spec):
    memory = os.memfd_create("window")
    os.ftruncate(memory, OFF_BUFFERS + BUFFERS * FRAME)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Its descriptors are 3 and 4 (monitor/net_wire.h), by way of two that are not.
    os.dup2(theirs.fileno(), 40)
    os.dup2(memory, 41)
    moves = [(os.POSIX_SPAWN_DUP2, 40, 3), (os.POSIX_SPAWN_DUP2, 41, 4),
             (os.POSIX_SPAWN_CLOSE, 40), (os.POSIX_SPAWN_CLOSE, 41)]
    child = os.posix_spawn(helper, [helper, "open", spec], os.environ, file_actions=moves)
    os.close(40)
    os.close(41)
    theirs.close()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        sys.exit(status)
    data, control, _, _ = ours.recvmsg(4096, 4096)
    fds = array.array("i")
    for level, kind, body in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(body[:len(body) // 4 * 4])
    names = ("version", "backend", "flags", "entries", "mac", "mtu", "ifname", "queue")
    opened = dict(zip(names, struct.unpack_from("<4I6sH16si", data)))
    opened["mac"] = opened["mac"].hex(":")
    opened["ifname"] = opened["ifname"].split(b"\0")[0].decode()
    return memory, list(fds), opened


class Ring:
    """One of an AF_XDP socket's rings, as the guest sees it."""

    def __init__(self, fd, name, entries, entry, offsets):
        self.producer, self.consumer, self.desc, _ = offsets
        self.entry = struct.Struct(entry)
        self.map = mmap.mmap(fd, self.desc + entries * self.entry.size,
                             mmap.MAP_SHARED | mmap.MAP_POPULATE,
                             mmap.PROT_READ | mmap.PROT_WRITE, offset=PGOFF[name])
        self.entries = entries

    def get(self, where):
        return struct.unpack_from("<I", self.map, where)[0]

    def advance(self, where):
        struct.pack_into("<I", self.map, where, (self.get(where) + 1) & 0xffffffff)

    def at(self, index):
        return self.desc + index % self.entries * self.entry.size

    def push(self, *values):
        self.entry.pack_into(self.map, self.at(self.get(self.producer)), *values)
        self.advance(self.producer)

    def pop(self):
        index = self.get(self.consumer)
        if index == self.get(self.producer):
            return None
        values = self.entry.unpack_from(self.map, self.at(index))
        self.advance(self.consumer)
        return values


class Xdp:
    """The driver's half of buffers is for frames received, the other for frames to send."""

    def __init__(self, memory, fd, entries):
        self.window = mmap.mmap(memory, 0)
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW, fileno=fd)
        offsets = struct.unpack("<16Q", self.socket.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128))
        kinds = (("rx", "<QII"), ("tx", "<QII"), ("fill", "<Q"), ("comp", "<Q"))
        self.rings = {name: Ring(fd, name, entries, entry, offsets[4 * i:4 * i + 4])
                      for i, (name, entry) in enumerate(kinds)}
        for i in range(BUFFERS // 2):
            self.rings["fill"].push(i * FRAME)
        self.sent = 0

    def kick(self):
        try:
            self.socket.send(b"", socket.MSG_DONTWAIT)
        except OSError:
            pass

    def send(self, frame):
        address = (BUFFERS // 2 + self.sent % (BUFFERS // 2)) * FRAME
        self.sent += 1
        self.window[OFF_BUFFERS + address:OFF_BUFFERS + address + len(frame)] = frame
        self.rings["tx"].push(address, len(frame), 0)
        deadline = time.monotonic() + 10
        self.kick()
        while self.rings["comp"].pop() is None:
            if time.monotonic() > deadline:
                return False
            self.kick()
        return True

    def receive(self, seconds):
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        address, length, _ = self.rings["rx"].pop()
        frame = self.window[OFF_BUFFERS + address:OFF_BUFFERS + address + length]
        self.rings["fill"].push(address // FRAME * FRAME)
        return frame


class Tap:
    def __init__(self, fd, vnet):
        self.fd, self.header = fd, 10 if vnet else 0

    def send(self, frame):
        return os.write(self.fd, bytes(self.header) + frame) > 0

    def receive(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return None
        return os.read(self.fd, 65600)[self.header:]


class Wire:
    def __init__(self, ifname):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((ifname, 3))

    def send(self, frame):
        return self.socket.send(frame) > 0

    def receive(self, seconds):
        deadline = time.monotonic() + seconds
        while select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            frame, address = self.socket.recvfrom(65600)
            if address[2] != socket.PACKET_OUTGOING:
                return frame
        return None


def hear(device, seconds, ethertype):
    deadline = time.monotonic() + seconds
    while True:
        frame = device.receive(max(0, deadline - time.monotonic()))
        if frame is None or frame[12:14] == ethertype:
            return frame.hex() if frame else "none"


def checksum(frame):
    """Of UDP over IPv4 without options: RFC 768's, with the pseudo header."""
    length = struct.unpack_from(">H", frame, 38)[0]
    data = frame[26:34] + struct.pack(">HH", 17, length) + frame[34:34 + length]
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return "complete" if total == 0xffff else "partial"


def watch(fd):
    last = "nothing"
    while select.select([fd], [], [], 0.2)[0]:
        kind, flags = struct.unpack_from("<4xH18xI", os.read(fd, 65536))
        up = flags & 0x10001 == 0x10001  # IFF_UP, IFF_LOWER_UP
        last = "gone" if kind == 17 else "up" if up else "down"  # RTM_DELLINK
    return last


def misuse(fd, ifname):
    # RTM_GETLINK, NLM_F_REQUEST
    request = struct.pack("<IHHII4xI8x", 32, 18, 1, 1, 0, socket.if_nametoindex(ifname))
    try:
        os.write(fd, request)
    except OSError as error:
        return error.strerror
    return "itself" if os.read(fd, 65536) == request else "an answer"


def main():
    fds = []
    if sys.argv[1] == "wire":
        device = Wire(sys.argv[2])
        print("wire", flush=True)
    else:
        memory, fds, opened = open_device(sys.argv[1], sys.argv[2])
        if opened["backend"] == 1:
            device = Xdp(memory, fds[0], opened["entries"])
        else:
            device = Tap(fds[0], opened["flags"] & 1)
        print(*("%s=%s" % item for item in opened.items()), flush=True)
    for line in sys.stdin:
        verb, *words = line.split()
        if verb == "send":
            print("sent" if device.send(bytes.fromhex(words[0])) else "stuck", flush=True)
        elif verb in ETHERTYPES:
            heard = hear(device, float(words[0]), ETHERTYPES[verb])
            while verb == "udp" and heard != "none" and heard[46:48] != "11":
                heard = hear(device, float(words[0]), ETHERTYPES[verb])
            if verb == "udp" and heard != "none":
                heard = checksum(bytes.fromhex(heard))
            print(heard, flush=True)
        elif verb == "watch":
            print(watch(fds[1]), flush=True)
        elif verb == "misuse":
            print(misuse(fds[1], opened["ifname"]), flush=True)
        else:
            print(len(fds), flush=True)


main()
