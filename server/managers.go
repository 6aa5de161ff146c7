package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/managers"
)

// managersWait is how long a manager waits before it is run again after an error.
const managersWait = 5 * time.Second

// Client returns a client of this node's API, for managers and others in its process.
// It goes on elsewhere while another node leads. Close it before the server ends.
func (s *Server) Client() (*client.Client, error) {
	host, port, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("find the API's port: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return client.New(client.Config{Servers: []string{"http://" + net.JoinHostPort(host, port)}, Logger: s.logger})
}

// killedWithin is how long the end of processes that were killed is waited for.
const killedWithin = 200 * time.Millisecond

// runningManagers are those that run beside the node.
type runningManagers struct {
	stop    context.CancelFunc
	list    []*managers.Manager
	client  *client.Client
	running sync.WaitGroup
}

// startManagers runs the managers of the options and the workers of the configuration
// until they are stopped.
func (s *Server) startManagers() (*runningManagers, error) {
	list := slices.Clone(s.managers)
	for _, w := range s.cfg.Workers {
		m, err := w.Manager(s.cfg.NodeID+"/"+w.Name, s.logger)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	ctx, cancel := context.WithCancel(context.Background()) // ended by stop
	r := &runningManagers{stop: cancel, list: list}
	if len(list) == 0 {
		return r, nil
	}
	var err error
	if r.client, err = s.Client(); err != nil {
		cancel()
		return nil, err
	}
	for _, m := range list {
		r.running.Go(func() { s.runManager(ctx, r.client, m) })
	}
	return r, nil
}

// runManager runs a manager again and again: what is wrong with it may be mended while
// the node lives, and is no reason for the node to end. While it does not run that is an
// alarm, which is logged once and not with every try.
func (s *Server) runManager(ctx context.Context, c managers.Cluster, m *managers.Manager) {
	subject := "manager " + m.Name()
	for {
		// It runs once it has for as long as it is waited after a try.
		runs := time.AfterFunc(managersWait, func() { s.node.ClearAlarm(subject) })
		err := m.Run(ctx, c)
		runs.Stop()
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, managers.ErrSuperseded):
			s.node.ClearAlarm(subject)
			s.logger.Warn("a newer version of the manager runs elsewhere; this one ends", "error", err)
			return
		}
		s.node.Alarm(subject, fmt.Sprintf("%v; it is tried again every %v", err, managersWait))
		s.logger.Debug("manager ended", "error", err, "again_in", managersWait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(managersWait):
		}
	}
}

// end tells the managers to end and waits for them, so long. Then their processes are
// killed, with all that these have started: nobody is left to do so later.
func (r *runningManagers) end(patience time.Duration) error {
	r.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.running.Wait()
	}()
	var err error
	select {
	case <-done:
	case <-time.After(patience):
		err = errors.New("managers did not end in time; what they had comes again")
		for _, m := range r.list {
			m.Kill()
		}
	}
	if r.client != nil {
		err = errors.Join(err, r.client.Close())
	}
	select {
	case <-done:
	case <-time.After(killedWithin):
	}
	return err
}
