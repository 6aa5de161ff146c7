package transport

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// committedOf hands a follower an entry 2 of term 2 and then, by the leader of term 3,
// that much is committed, in a call that says nothing of entry 2. It returns what the
// follower takes for committed.
func committedOf(t *testing.T, trans raft.Transport, wrapped bool) uint64 {
	t.Helper()
	r, _ := startRaft(t, trans, nil)
	defer func() { _ = r.Shutdown().Error() }()
	peer := callFromOutside(t, wrapped, trans.LocalAddr())
	if resp, err := peer.appendEntry(2, 2, 1); err != nil || !resp.Success {
		t.Fatalf("entry of term 2: %+v, %v", resp, err)
	}
	var resp raft.AppendEntriesResponse
	err := peer.trans.AppendEntries("n1", peer.target, &raft.AppendEntriesRequest{
		RPCHeader: peer.header(), Term: 3, PrevLogEntry: 1, PrevLogTerm: 1, LeaderCommitIndex: 5,
	}, &resp)
	if err != nil || !resp.Success {
		t.Fatalf("call of term 3: %+v, %v", resp, err)
	}
	return r.CommitIndex()
}

// The trap: raft commits an entry that the leader does not have.
func TestControlRaftCommitsWhatWasNotCompared(t *testing.T) {
	t.Parallel()
	trans, err := raft.NewTCPTransport("127.0.0.1:0", nil, 3, 10*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := committedOf(t, trans, false); got != 2 {
		t.Fatalf("entries up to %d are committed: raft compares now, and compared.go need not", got)
	}
}

func TestOnlyWhatWasComparedIsCommitted(t *testing.T) {
	t.Parallel()
	if got := committedOf(t, openPort(t, Config{}).Raft(), true); got != 1 {
		t.Errorf("entries up to %d are committed, want 1", got)
	}
}

func TestCommitIndexIsBoundByTheCall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ prev, entries, commit, want uint64 }{
		"no entries":           {4, 0, 9, 4},
		"some entries":         {4, 2, 9, 6},
		"committed less":       {4, 2, 5, 5},
		"committed before":     {4, 0, 3, 3},
		"from the first entry": {0, 2, 9, 2},
	} {
		req := &raft.AppendEntriesRequest{PrevLogEntry: test.prev, LeaderCommitIndex: test.commit}
		for i := range test.entries {
			req.Entries = append(req.Entries, &raft.Log{Index: test.prev + 1 + i})
		}
		got := onlyCompared(raft.RPC{Command: req}).Command.(*raft.AppendEntriesRequest)
		if got.LeaderCommitIndex != test.want || len(got.Entries) != int(test.entries) {
			t.Errorf("%s: got commit index %d with %d entries, want %d", name, got.LeaderCommitIndex, len(got.Entries), test.want)
		}
		if req.LeaderCommitIndex != test.commit {
			t.Errorf("%s: the sender's copy was changed", name)
		}
	}
}
