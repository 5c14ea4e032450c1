// What broadcastload.c does, by Pusher's SDK for Go: PORT EVENTS BATCH. Like Node's it has 8 requests under way.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/pusher/pusher-http-go/v5"
)

const underWay = 8

var data = map[string]any{
	"order": map[string]any{"id": 42, "state": "paid"}, "by": "someone@example.org", "at": 1700000000,
}

func cpuMicroseconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e3
}

func send(client *pusher.Client, first, batch int) error {
	if batch == 1 {
		return client.Trigger(fmt.Sprintf("orders-%d", first%100), "order.paid", data)
	}
	events := make([]pusher.Event, batch)
	for i := range events {
		events[i] = pusher.Event{Channel: fmt.Sprintf("orders-%d", (first+i)%100), Name: "order.paid", Data: data}
	}
	_, err := client.TriggerBatch(events)
	return err
}

func publish(client *pusher.Client, total, batch int) {
	starts := make(chan int)
	var senders sync.WaitGroup
	for range underWay {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for first := range starts {
				if err := send(client, first, batch); err != nil {
					log.Fatal(err)
				}
			}
		}()
	}
	for first := 0; first < total; first += batch {
		starts <- first
	}
	close(starts)
	senders.Wait()
}

func main() {
	count, _ := strconv.Atoi(os.Args[2])
	batch, _ := strconv.Atoi(os.Args[3])
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = underWay // the default keeps two open
	client := &pusher.Client{AppID: "3", Key: "sdk-key", Secret: "sdk-secret", Host: "127.0.0.1:" + os.Args[1],
		HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute}}
	publish(client, 100, batch)
	began, used := time.Now(), cpuMicroseconds()
	publish(client, count, batch)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"events": count, "seconds": time.Since(began).Seconds(), "cpu_us": cpuMicroseconds() - used})
}
