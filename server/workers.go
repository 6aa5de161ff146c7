package server

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// Worker is a process worker that a node runs: an entry of the list workers in the
// file. Every node of a cluster whose file has it runs it, as one more member.
type Worker struct {
	// Name is for the log, and unique in the file.
	Name string
	// Subscription is made, or changed, with the filter and what else is given here;
	// its name is the worker's by default.
	Subscription event.Subscription
	// Existing: no filter is given, and the subscription stays as it is.
	Existing bool
	// Timeout of one event; 0: 30 s.
	Timeout time.Duration
	Process managers.Process
}

// workerGrace leaves of finishManagers what it takes to hand back what is not done, so
// that it is no failed attempt.
const workerGrace = finishManagers * 3 / 4

// Manager returns what runs the worker, as the member of that name.
func (w Worker) Manager(member string, logger *slog.Logger) (*managers.Manager, error) {
	m, err := managers.NewProcessWorker(w.Name, managers.Config{
		Subscription: w.Subscription, Existing: w.Existing, Timeout: w.Timeout, Grace: workerGrace,
		Member: member, Logger: logger,
	}, w.Process)
	if err != nil {
		return nil, fmt.Errorf("worker %s: %w", w.Name, err)
	}
	return m, nil
}
