#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One router advertisement (RFC 4861, 4.2), with lifetimes that no daemon would send.

  ra.py IFACE FROM ROUTER-SECONDS PREFIX VALID-SECONDS PREFERRED-SECONDS [DNS DNS-SECONDS]
"""
import socket
import struct
import sys

iface, source, router, prefix, valid, preferred = sys.argv[1:7]
body = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, int(router), 0, 0)
body += struct.pack("!BBBBIII", 3, 4, 64, 0xC0, int(valid), int(preferred), 0)
body += socket.inet_pton(socket.AF_INET6, prefix)
if len(sys.argv) > 7:
    body += struct.pack("!BBHI", 25, 3, 0, int(sys.argv[8]))
    body += socket.inet_pton(socket.AF_INET6, sys.argv[7])
index = socket.if_nametoindex(iface)
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
s.bind((source, 0, 0, index))
s.sendto(body, ("ff02::1", 0, 0, index))
