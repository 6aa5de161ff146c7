package workflows

import "github.com/edri-io/edri/managers"

// size is about what a record has in a commit: its data, and what its command repeats or has
// besides. It is what advances are cut by, so that none is above what a commit may have.
func (r *Record) size() int {
	n := len(r.Data)
	switch c := r.Do.(type) {
	case SendRequest:
		n += len(c.Event.Data)
	case AwaitEvent:
		if n += len(r.Data); c.Filter != nil {
			n += len(mustMarshal(c.Filter))
		}
	case StartChild:
		n += len(c.Start.Input) + len(c.Start.Memo)
	case FinishUpdate:
		n += len(c.Result)
	case End:
		n += c.size()
	}
	return n
}

func (e *End) size() int {
	n := len(e.Result)
	if e.Next != nil {
		n += len(e.Next.Input)
	}
	signals := 0
	for i := range e.Signals {
		signals += e.Signals[i].size()
	}
	return n + min(signals, maxEndSignalBytes) // the others go ahead
}

// effectsSize is about what effects have in a commit.
func effectsSize(e *managers.Effects) (n int) {
	for i := range e.Appends {
		n += len(e.Appends[i].Event.Data)
	}
	for i := range e.Keys {
		n += len(e.Keys[i].Value)
	}
	return n
}
