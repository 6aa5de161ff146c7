package raftlog

import (
	"testing"

	wal "github.com/hashicorp/raft-wal"
)

// raft-wal keeps the numbers below for codecs of its own, and opens a log by a codec
// whose number stands in it.
func TestCodecHasANumberThatRaftWALDoesNotGive(t *testing.T) {
	t.Parallel()
	if id := (&codec{}).ID(); id < wal.FirstExternalCodecID {
		t.Errorf("codec %d is below %d", id, wal.FirstExternalCodecID)
	}
}
