package server

import (
	"errors"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/store"
)

// exitUsage is the exit code for what the operator must correct.
const exitUsage = 2

// ExitCode is what the process ends with after an error of Load, New or Run.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrConfig):
		return exitUsage
	case errors.Is(err, consensus.ErrUndecodable):
		return consensus.ExitUndecodable
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, raftlog.ErrCorrupt):
		return consensus.ExitCorruption
	case errors.Is(err, raftlog.ErrStalled):
		return consensus.ExitStall
	case errors.Is(err, store.ErrIO):
		return consensus.ExitStorage
	}
	return consensus.ExitError
}
