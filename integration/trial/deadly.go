package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// The manager of --trial-deadly handles the type deadlyType, one event of a subject at a
// time, and answers each by one in the stream "survived". deadlyDeliver bounds its
// attempts.
const (
	deadlyName    = "deadly"
	deadlyType    = "deadly.asked"
	deadlyDeliver = 3
	deadlyTime    = 200 * time.Millisecond
)

// deadlyOrder is the data of its events.
type deadlyOrder struct {
	N   int  `json:"n"`
	Die bool `json:"die"` // end the process, by which an embedded handler ends its node
}

// managers returns what the node runs in its process.
func (t trial) managers(logger *slog.Logger) ([]*managers.Manager, error) {
	if !t.deadly {
		return nil, nil
	}
	m, err := managers.New(deadlyName, managers.Config{
		Subscription: event.Subscription{
			OrderingKey: event.OrderBySubject, MaxDeliver: deadlyDeliver, Backoff: []time.Duration{50 * time.Millisecond},
		},
		Start: managers.Start{First: true}, Concurrency: 4, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	managers.Handle(m, deadlyType, func(_ context.Context, o deadlyOrder) (managers.Effects, error) {
		if o.Die {
			time.Sleep(deadlyTime / 4)
			os.Exit(1)
		}
		time.Sleep(deadlyTime) // to be there when another ends the process
		return managers.Emit("survived", "survived", o), nil
	})
	return []*managers.Manager{m}, nil
}
