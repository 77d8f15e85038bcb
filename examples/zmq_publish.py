#!/usr/bin/env python3
"""Publishes one event and waits until it is stored.

    BROKER_TOKEN=dbk_... ./zmq_publish.py ci/jenkins/build '{"build": 42}'

Needs pyzmq (Debian: python3-zmq).
"""
import json
import os
import sys

import zmq

endpoint = os.environ.get("BROKER_ZMQ_SESSION", "tcp://127.0.0.1:5557")
topic, payload = sys.argv[1], sys.argv[2]

socket = zmq.Context.instance().socket(zmq.REQ)
socket.linger = 0
socket.rcvtimeo = 10_000
socket.connect(endpoint)
socket.send_multipart([b"PUBLISH", os.environ["BROKER_TOKEN"].encode(), topic.encode(), payload.encode()])
status, answer = socket.recv_multipart()

if status != b"OK":
    sys.exit(json.loads(answer)["detail"])
print(json.loads(answer)["position"])
