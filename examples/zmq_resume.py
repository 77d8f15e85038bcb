#!/usr/bin/env python3
"""Prints every event once, across restarts of the broker and of this program, from a DEALER socket.

    BROKER_TOKEN=dbk_... ./zmq_resume.py 'ci/**' position.txt

The position of the last event is kept in a file. Needs pyzmq (Debian: python3-zmq).
"""
import json
import os
import pathlib
import sys

import zmq

endpoint = os.environ.get("BROKER_ZMQ_SESSION", "tcp://127.0.0.1:5557")
token = os.environ["BROKER_TOKEN"].encode()
topics, file = sys.argv[1], pathlib.Path(sys.argv[2])
PING_MS, SILENCE_MS = 10_000, 30_000


def remember(position):
    """Whole or not at all: half a position would be a gap."""
    draft = file.with_suffix(".new")
    draft.write_text(position)
    draft.replace(file)


def connect():
    """A new socket, subscribed from where the last one stopped."""
    since = file.read_text().strip() if file.exists() else "earliest"
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.connect(endpoint)
    dealer.send_multipart([b"SUBSCRIBE", token, topics.encode(), since.encode()])
    return dealer


socket = connect()
silent_ms = 0
while True:
    if not socket.poll(PING_MS):
        silent_ms += PING_MS
        if silent_ms >= SILENCE_MS:
            socket.close()
            socket, silent_ms = connect(), 0
        socket.send_multipart([b"PING"])
        continue
    silent_ms = 0
    verb, *frames = socket.recv_multipart()
    if verb == b"EVENT":
        event = json.loads(frames[1])
        print(event["topic"], json.dumps(event.get("data", event.get("data_base64"))), flush=True)
        remember(event["position"])
    elif verb == b"ERROR":
        sys.exit(json.loads(frames[0])["detail"])
