"""What broadcastload.c does, by Pusher's SDK for Python: broadcast_sdk.py PORT EVENTS BATCH"""
import json
import resource
import sys
import time

import pusher

port, count, batch = (int(word) for word in sys.argv[1:4])
data = {"order": {"id": 42, "state": "paid"}, "by": "someone@example.org", "at": 1700000000}
# The SDK takes ids of digits only.
client = pusher.Pusher(app_id="3", key="sdk-key", secret="sdk-secret", host="127.0.0.1", port=port, ssl=False)


def publish(total):
    for first in range(0, total, batch):
        if batch == 1:
            client.trigger(f"orders-{first % 100}", "order.paid", data)
        else:
            client.trigger_batch([{"channel": f"orders-{(first + i) % 100}", "name": "order.paid", "data": json.dumps(data)}
                                  for i in range(batch)])


def cpu_us():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e6


publish(100)
began, used = time.monotonic(), cpu_us()
publish(count)
print(json.dumps({"events": count, "seconds": time.monotonic() - began, "cpu_us": cpu_us() - used}))
