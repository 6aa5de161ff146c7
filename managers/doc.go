// Package managers runs a user's handlers of events: what a handler returns is committed
// together with the acknowledgement of the event that it was given, once, whatever crashes.
//
// # Write a handler, and run it
//
// A manager groups handlers by event type. Its name is that of its durable subscription, which
// selects these types; as many programs as are wanted share its events:
//
//	m, err := managers.New("billing", managers.Config{Concurrency: 10})
//	managers.Handle(m, "order.placed", func(ctx context.Context, o Order) (managers.Effects, error) {
//		return managers.Emit("bill/"+o.ID, "bill.made", Bill{Total: o.Total}), nil
//	})
//	c, err := client.New(client.Config{Servers: []string{"http://127.0.0.1:7420"}})
//	err = m.Run(ctx, c) // until ctx ends
//
// A handler returns [Effects], which take place with the acknowledgement or not at all: events
// ([Effects.Emit]), changes of keys, the response to a request ([Effects.Respond]). Or it returns
// an error, and the event comes again, unless that is one of [Reject] or [ErrSkip]. What it does
// outside the cluster may happen more than once: there the [Delivery.EffectID] of [DeliveryFrom]
// is what to deduplicate by. docs/delivery.md says more; examples/invoices is a whole program.
//
// # Workers
//
// A handler runs in line (Config.Concurrency 1), in a pool of goroutines (n), or in a
// process of any language ([Process]), which speaks lines of JSON on its standard input
// and output: docs/worker-protocol.md says how.
//
// The package knows the cluster only as [Cluster], so that the same manager runs in a server
// and in a process of the user's own; package managerstest holds both to one suite.
//
// # Goroutines and processes
//
// Handlers run on goroutines of Cluster.Consume. Each instance of a process has one
// that starts it and waits for it (on a thread of its own, see groupAttributes), and
// while it runs one each for its output, its log and its times. Run owns all of them.
//
//	Run ── pool ── supervise ── instance.run ─┬─ readStdout: messages of the worker
//	                 (one each)    (Wait)     ├─ readStderr: its log
//	                                          └─ watch: hello, heartbeat, end
//
// Nothing is queued here: a delivery waits, on its own goroutine, until a process has
// room, or has nothing else if it failed before (place.go), and Consume has as many as
// there is room. Of a worker's output one line of 8 MiB
// is held at most.
//
// Where two locks meet, it is never: pool.mu, instance.mu and living.mu are held one at
// a time.
package managers
