#!/usr/bin/env python3
"""Prints every event once, across restarts of the broker and of this program, from a DEALER socket.

    BROKER_TOKEN=dbk_... ./zmq_resume.py 'ci/**' position.txt

The position of the last event is kept in a file. PING_SECONDS (10) is how long it may take to see that the
broker was killed and is back. Needs pyzmq (Debian: python3-zmq).
"""
import json
import os
import pathlib
import sys
import time

import zmq

endpoint = os.environ.get("BROKER_ZMQ_SESSION", "tcp://127.0.0.1:5557")
token = os.environ["BROKER_TOKEN"].encode()
topics, file = sys.argv[1], pathlib.Path(sys.argv[2])
PING_SECONDS, SILENCE_SECONDS = float(os.environ.get("PING_SECONDS", "10")), 30


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


def follow(dealer):
    """Prints until the subscription is gone; returns how many seconds to wait before the next."""
    heard = pinged = time.monotonic()
    while (now := time.monotonic()) < heard + SILENCE_SECONDS:
        # While events come, too: the broker ends what it does not hear from for 30 seconds.
        if now >= pinged + PING_SECONDS:
            dealer.send_multipart([b"PING"])
            pinged = now
        if not dealer.poll(1000 * (pinged + PING_SECONDS - now)):
            continue
        heard = time.monotonic()
        verb, *frames = dealer.recv_multipart()
        body = json.loads(frames[-1])
        if verb == b"EVENT":
            print(body["topic"], json.dumps(body.get("data", body.get("data_base64"))), flush=True)
            remember(body["position"])
        elif verb == b"PONG" and not body["subscribed"]:
            # libzmq has connected again unseen, to a broker that knows of no subscription.
            return 0
        elif verb == b"ERROR":
            if "retryAfterSeconds" not in body:
                sys.exit(body["detail"])
            return body["retryAfterSeconds"]
    return 0


while True:
    with connect() as dealer:
        wait = follow(dealer)
    time.sleep(wait)
