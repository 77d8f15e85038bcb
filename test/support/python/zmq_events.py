"""Prints `<topic> <type> <subject>` of every event on a plain SUB socket."""
import json
import os

import zmq

socket = zmq.Context.instance().socket(zmq.SUB)
socket.plain_username = os.environ["BROKER_USER"].encode()
socket.plain_password = os.environ["BROKER_TOKEN"].encode()
socket.subscribe("")
socket.connect(os.environ["BROKER_ZMQ_SUBSCRIBE"])

while True:
    topic, text = socket.recv_multipart()
    event = json.loads(text)
    print(topic.decode(), event["type"], event.get("subject", "-"), flush=True)
