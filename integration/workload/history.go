package workload

import (
	"context"
	"fmt"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
)

// Histories reads the whole history back from each of the nodes, at least up to
// the last position that any of them has when it is called.
func Histories(ctx context.Context, nodes []*cluster.Node) ([]ledger.History, error) {
	var last uint64
	for _, n := range nodes {
		s, err := n.Status(ctx)
		if err != nil {
			return nil, fmt.Errorf("read histories: %w", err)
		}
		last = max(last, s.LastPosition)
	}
	var histories []ledger.History
	for _, n := range nodes {
		if err := n.WaitPosition(ctx, last); err != nil {
			return nil, fmt.Errorf("read histories: %w", err)
		}
		events, err := history(ctx, n.URL(), event.Position(last))
		if err != nil {
			return nil, fmt.Errorf("read history of node %s: %w", n.Name, err)
		}
		histories = append(histories, ledger.History{Node: n.Name, Events: events})
	}
	return histories, nil
}

// history reads the events from the first to last.
func history(ctx context.Context, url string, last event.Position) ([]event.Recorded, error) {
	if last == 0 {
		return nil, nil
	}
	c, err := client.New(client.Config{Servers: []string{url}})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var events []event.Recorded
	for e, err := range c.Read(ctx, client.Query{To: last, MinPosition: last}) {
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}
