package transport

import "github.com/hashicorp/raft"

// onlyCompared bounds the commit index of an AppendEntries by the call's own last entry:
//
//	leader sends      prev │ entries           commit ▼
//	receiver's log    ───────────────── of an earlier leader
//	may be committed               ▲
//
// Up to there this call has compared the logs. raft 1.7.3 goes up to the end of the
// receiver's log, and commits what an earlier leader left there: a leader reads where its
// log ends, and only then what is committed, so a call without entries may be of a commit
// index beyond it.
func onlyCompared(rpc raft.RPC) raft.RPC {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok {
		return rpc
	}
	end := req.PrevLogEntry
	if n := len(req.Entries); n > 0 {
		end = req.Entries[n-1].Index
	}
	if req.LeaderCommitIndex <= end {
		return rpc
	}
	bounded := *req // the sender's copy stays as it is: in one process it is shared
	bounded.LeaderCommitIndex = end
	rpc.Command = &bounded
	return rpc
}
