package server

import (
	"errors"
	"sync"
	"time"

	"github.com/edri-io/edri/consensus"
)

// hangUpWithin bounds what is done for clients before the process ends at once.
const hangUpWithin = time.Second

// fatal ends the process: the node can no longer trust what it has stored.
func (s *Server) fatal(opts Options, code int, err error) {
	s.failed.Do(func() {
		if errors.Is(err, consensus.ErrRestart) && opts.Restart != nil {
			s.logger.Error("node starts anew", "error", err)
			s.logger.Error("node cannot start anew", "error", opts.Restart())
		}
		s.logger.Error("node stops at once", "exit_code", code, "error", err)
		if code == consensus.ExitStall {
			s.hangUp()
		}
		opts.Exit(code)
	})
}

// hangUp closes both ports and their connections. A process that has a call hanging
// in the kernel is not gone when it exits: until that call returns its sockets are
// open, and clients would wait at them until their patience ends.
func (s *Server) hangUp() {
	serving := s.serving.Load()
	if serving == nil {
		return
	}
	closing := sync.WaitGroup{}
	for _, end := range []func() error{s.node.HangUp, serving.Close} {
		closing.Go(func() {
			if err := end(); err != nil {
				s.logger.Warn("connections were not closed", "error", err)
			}
		})
	}
	done := make(chan struct{})
	go func() { closing.Wait(); close(done) }()
	timer := time.NewTimer(hangUpWithin)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
