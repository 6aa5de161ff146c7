package consensus

// Observer is a StateMachine that is told what took effect.
type Observer interface {
	StateMachine
	// Observe is given the notes that the machine made in a batch of entries, in
	// their order, those of operations and commits that failed left out. It is called
	// by the goroutine that applies, when views show what is noted and those who wait
	// for it were woken, but before its callers have their answers: it must not block.
	// It must not keep the slice. index is that of the last entry.
	//
	// Every node observes what it applies, also what it applies again after a start. A
	// state that came as a snapshot brings no notes: who acts on notes reads the rows
	// first, from a view that is taken after it began to listen, and passes over notes
	// up to the view's index.
	Observe(index uint64, notes []any)
}

// note is one of a machine, given as its index in the mux.
type note struct {
	machine int
	what    any
}

// maxNotes bounds the memory for notes that is used again.
const maxNotes = 4096

// Note tells the machine whose table this is, if it is an Observer, that something
// took effect, once that is so.
func (t *Tx) Note(what any) {
	if i, ok := t.core.mux.observers[t.machine]; ok {
		t.core.notes = append(t.core.notes, note{machine: i, what: what})
	}
}

// Notify gives the observers what was noted since the last Notify. It is called
// after Publish, by the same goroutine.
func (c *Core) Notify() {
	if len(c.notes) == 0 {
		return
	}
	index, _ := c.AppliedIndex()
	notes, observed := c.notes, c.observed
	for i, machine := range c.mux.machines {
		observed = observed[:0]
		for _, n := range notes {
			if n.machine == i {
				observed = append(observed, n.what)
			}
		}
		if len(observed) > 0 {
			machine.(Observer).Observe(index, observed)
		}
	}
	clear(notes)
	clear(observed[:cap(observed)])
	if c.notes, c.observed = notes[:0], observed[:0]; cap(notes) > maxNotes {
		c.notes, c.observed = nil, nil
	}
}
