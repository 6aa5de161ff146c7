package workflows

// The signals that a run has not received go on to the run that continues it: a few with
// its end, more ahead of it, as many in an advance as a commit takes well. They stand in the
// history, so that whoever has the run next can begin anew.
const (
	maxEndSignals     = 400
	maxEndSignalBytes = 256 << 10
	maxCarry          = 500
	maxCarryBytes     = 512 << 10
)

func (s *Signal) size() int { return len(s.Name) + len(s.Input) + 24 } // with what JSON adds

// carriesMuch reports whether the signals of an end are to go ahead of it.
func (e *End) carriesMuch() bool {
	bytes := 0
	for i := range e.Signals {
		bytes += e.Signals[i].size()
	}
	return len(e.Signals) > maxEndSignals || bytes > maxEndSignalBytes
}

// sendAhead takes the end out of an advance for as long as signals are to go ahead of it,
// with the next of them where nothing else is in the advance. It reports whether it has.
func (r *live) sendAhead(a *Advance) bool {
	last := len(a.Records) - 1
	if last < 0 {
		return false
	}
	end, ok := a.Records[last].Do.(End)
	if !ok || !end.carriesMuch() {
		return false
	}
	if r.ahead == len(end.Signals) {
		// What came since goes on too. The code could not look at it: what it has recorded since
		// its end holds.
		end.Carried, end.Signals, end.Insist = r.ahead, nil, true
		a.Records[last].Do = end
		return false
	}
	r.m.out = a.Records[last:]
	a.Records = a.Records[:last:last]
	if last == 0 {
		a.CarryFrom, a.Carry = r.ahead, nextCarry(end.Signals[r.ahead:])
	}
	return true
}

// nextCarry returns as many signals as go in one advance, at least one.
func nextCarry(signals []Signal) []Signal {
	n := 0
	for bytes := 0; n < len(signals) && n < maxCarry; n++ {
		if bytes += signals[n].size(); n > 0 && bytes > maxCarryBytes {
			break
		}
	}
	return signals[:n:n]
}

// unreceived returns how many signals the code has not received, and about their bytes.
func (m *machine) unreceived() (signals, bytes int) {
	for i := range m.unread {
		s := Signal{Name: m.unread[i].Name, Input: m.unread[i].Input}
		bytes += s.size()
	}
	return len(m.unread), bytes
}
