#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A DHCP server (RFC 2131) for leases of seconds, which others do not give: one address at a time.

  dhcpd.py IFACE SERVER SECONDS FILE

FILE, read at each message, says what it does: the last byte of the address that it offers, and
  ack     answers all
  rebind  only what is not sent to it alone: to RENEWING it is silent
  nak     refuses who renews, or asks for another address than that
  silent  nothing
Prints "ready", and a line for each message: its kind, the address it is about.
"""
import socket
import struct
import sys

OFFER, REQUEST, ACK, NAK = 2, 3, 5, 6
KINDS = {1: "discover", 3: "request", 4: "decline", 7: "release"}
MAGIC = b"\x63\x82\x53\x63"

iface, server, seconds, control = sys.argv[1:]
network = server.rsplit(".", 1)[0]


def options(data):
    found, at = {}, 240
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        found[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


def answer(kind, query, address):
    data = bytearray(query[:240])
    data[0] = 2  # BOOTREPLY
    data[12:16] = bytes(4) if kind == NAK else data[12:16]
    data[16:20] = bytes(4) if kind == NAK else socket.inet_aton(address)
    data += bytes([53, 1, kind, 54, 4]) + socket.inet_aton(server)
    if kind != NAK:
        data += bytes([51, 4]) + struct.pack("!I", int(seconds))
        data += bytes([1, 4, 255, 255, 255, 0, 3, 4]) + socket.inet_aton(server)
    return bytes(data) + b"\xff" + bytes(60)


def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, iface.encode())
    s.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO: to whom it was sent
    s.bind(("", 67))
    print("ready", flush=True)
    while True:
        query, control_data, _, _ = s.recvmsg(2048, 256)
        to = socket.inet_ntoa(control_data[0][2][8:12])
        if len(query) < 244 or query[236:240] != MAGIC:
            continue
        given = options(query)
        kind = given.get(53, b"\0")[0]
        ciaddr = socket.inet_ntoa(query[12:16])
        asked = socket.inet_ntoa(given.get(50, query[12:16]))
        state = "selecting"
        if kind == REQUEST and ciaddr != "0.0.0.0":
            state = "rebinding" if to == "255.255.255.255" else "renewing"
        print(KINDS.get(kind, kind), asked if kind != REQUEST else f"{state} {asked}", flush=True)
        last, mode = open(control).read().split()
        address = f"{network}.{last}"
        if mode == "silent" or (mode == "rebind" and state == "renewing"):
            continue
        if kind == 1:
            reply = answer(OFFER, query, address)
        elif kind != REQUEST:
            continue
        elif mode == "nak" and (state != "selecting" or asked != address):
            reply = answer(NAK, query, address)
        else:
            reply = answer(ACK, query, asked)
        broadcast = ciaddr == "0.0.0.0" or reply[242] == NAK
        s.sendto(reply, ("255.255.255.255" if broadcast else ciaddr, 68))


main()
