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
// the last position that any of them has when it is called. Retention, where it is
// on, must have nothing left to end.
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
		h, err := history(ctx, n.URL(), event.Position(last))
		if err != nil {
			return nil, fmt.Errorf("read history of node %s: %w", n.Name, err)
		}
		h.Node = n.Name
		histories = append(histories, h)
	}
	return histories, nil
}

// history reads the events from the first that is left to last.
func history(ctx context.Context, url string, last event.Position) (ledger.History, error) {
	if last == 0 {
		return ledger.History{}, nil
	}
	c, err := client.New(client.Config{Servers: []string{url}})
	if err != nil {
		return ledger.History{}, err
	}
	defer c.Close()
	retention, err := c.Retention(ctx, client.Stale)
	if err != nil {
		return ledger.History{}, err
	}
	h := ledger.History{First: max(retention.First, 1)}
	for e, err := range c.Read(ctx, client.Query{From: h.First, To: last, MinPosition: last}) {
		if err != nil {
			return ledger.History{}, err
		}
		h.Events = append(h.Events, e)
	}
	return h, nil
}
