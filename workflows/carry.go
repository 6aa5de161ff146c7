package workflows

// The signals that a run has not received go on to the run that continues it: a few with
// its end, into the first event of that run, whose code so has some from the begin. The
// others go ahead of the end, as many in an advance as a commit takes well. They stand in
// the history, so that whoever has the run next can begin anew.
const (
	maxEndSignals     = 400
	maxEndSignalBytes = 256 << 10
	maxCarry          = 500
	maxCarryBytes     = 512 << 10
)

// size is about what a signal has in JSON.
func (s *Signal) size() int { return 2*len(s.Name) + len(s.Input) + 24 }

// within returns how many of the first signals are within limits.
func within(signals []Signal, most, mostBytes int) int {
	n := 0
	for bytes := 0; n < len(signals) && n < most; n++ {
		if bytes += signals[n].size(); bytes > mostBytes {
			break
		}
	}
	return n
}

// withEnd returns how many of its signals go with an end, after which the others went
// ahead: so many as the next run's first event has room for beside its memo.
func (e *End) withEnd(memo int) int {
	n := within(e.Signals, maxEndSignals, maxEndSignalBytes)
	if n == len(e.Signals) {
		return n // what is too much for the event follows it
	}
	return within(e.Signals[:n], n, min(maxEndSignalBytes, maxPayload-len(e.Next.Input)-memo-maxAttributes))
}

// sendAhead takes the end out of an advance for as long as signals are to go ahead of it,
// with the next of them where nothing else is in the advance. It reports whether it has.
func (r *live) sendAhead(a *Advance) bool {
	last := len(a.Records) - 1
	if last < 0 {
		return false
	}
	end, ok := a.Records[last].Do.(End)
	if !ok || len(end.Signals) == 0 {
		return false
	}
	n := end.withEnd(len(r.m.begun.Memo))
	ahead := end.Signals[n:]
	switch {
	case len(ahead) == 0:
		return false
	case len(ahead) == r.ahead:
		// What came since goes on too: the code could not look at it, after what is recorded.
		end.Carried, end.Signals, end.Insist = r.ahead, end.Signals[:n], true
		a.Records[last].Do = end
		return false
	}
	r.m.out = a.Records[last:]
	a.Records = a.Records[:last:last]
	if last == 0 {
		n := max(1, within(ahead[r.ahead:], maxCarry, maxCarryBytes))
		a.CarryFrom, a.Carry = r.ahead, ahead[r.ahead:r.ahead+n]
	}
	return true
}

// unreceived returns how many signals the code has not received, and about their bytes.
func (m *machine) unreceived() (signals, bytes int) {
	for i := range m.unread {
		s := Signal{Name: m.unread[i].Name, Input: m.unread[i].Input}
		bytes += s.size()
	}
	return len(m.unread), bytes
}
