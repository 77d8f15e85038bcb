#!/usr/bin/env python3
"""Prints events as they come, from a plain SUB socket.

    BROKER_USER=reader BROKER_TOKEN=dbk_... ./zmq_subscribe.py ci/

Needs pyzmq (Debian: python3-zmq). A plain SUB socket cannot see a loss: zmq_resume.py can.
"""
import json
import os
import sys

import zmq

endpoint = os.environ.get("BROKER_ZMQ_SUBSCRIBE", "tcp://127.0.0.1:5556")
prefix = sys.argv[1] if len(sys.argv) > 1 else ""

socket = zmq.Context.instance().socket(zmq.SUB)
socket.plain_username = os.environ["BROKER_USER"].encode()
socket.plain_password = os.environ["BROKER_TOKEN"].encode()
socket.setsockopt_string(zmq.SUBSCRIBE, prefix)
socket.connect(endpoint)

while True:
    topic, frame = socket.recv_multipart()
    event = json.loads(frame)
    print(topic.decode(), json.dumps(event.get("data", event.get("data_base64"))), flush=True)
