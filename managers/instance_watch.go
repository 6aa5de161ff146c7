package managers

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// watch holds the process to its times, and ends it when it is to end.
func (i *instance) watch(ctx context.Context) {
	grace := i.pool.process.StopGrace
	hello := time.NewTimer(i.pool.process.HelloTimeout)
	defer hello.Stop()
	said := i.hello
	var beat *time.Ticker
	var beats <-chan time.Time
	for {
		select {
		case <-i.exited:
			return
		case <-i.ending:
			i.terminate(grace)
			return
		case <-ctx.Done():
			i.pool.retire(i)
			_ = i.sendSoon(hostMessage{Stop: &struct{}{}}, grace) // the end of its input says the same
			_ = i.stdin.Close()
			if !i.exits(grace) {
				i.terminate(grace)
			}
			return
		case <-hello.C:
			i.end(fmt.Errorf("it said no hello within %v", i.pool.process.HelloTimeout))
		case <-said:
			said = nil
			hello.Stop()
			if allowed := i.allowedSilence(); allowed > 0 {
				beat = time.NewTicker(allowed / 3)
				defer beat.Stop()
				beats = beat.C
			}
		case <-beats:
			i.checkPulse()
		}
	}
}

func (i *instance) allowedSilence() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.silence
}

// checkPulse ends a process that was silent for longer than it said, and asks it for a
// word before that.
func (i *instance) checkPulse() {
	i.mu.Lock()
	allowed, silent := i.silence, time.Since(i.heard)
	i.mu.Unlock()
	if silent > allowed {
		i.end(fmt.Errorf("it was silent for more than %v", allowed))
		return
	}
	// What is lost here shows as silence.
	_ = i.sendSoon(hostMessage{Ping: &struct{}{}}, allowed/3)
}

// terminate ends the process, and all that it started, by force.
func (i *instance) terminate(grace time.Duration) {
	signalGroup(i.cmd.Process, syscall.SIGTERM)
	if !i.exits(grace) {
		signalGroup(i.cmd.Process, syscall.SIGKILL)
	}
}

// exits reports whether the process ended within a time.
func (i *instance) exits(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-i.exited:
		return true
	case <-timer.C:
		return false
	}
}
