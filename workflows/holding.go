package workflows

// receive takes a message.
func (h *host) receive(m *Message) {
	switch {
	case m.Assign != nil:
		h.assign(m.Assign)
	case m.Entries != nil:
		e := m.Entries
		h.with(e.Number, func(r *live) { r.take(e.Entries) })
	case m.Advanced != nil:
		a := m.Advanced
		h.with(a.Number, func(r *live) { r.advanced(a) })
	case m.Query != nil:
		h.query(m.Query)
	case m.Drain != nil:
		h.with(m.Drain.Number, func(r *live) { r.draining = true })
	case m.Revoke != nil:
		h.revoke(m.Revoke)
	}
}

func (h *host) revoke(m *Revoke) {
	h.mu.Lock()
	r := h.runs[m.Number]
	h.mu.Unlock()
	if r == nil {
		return
	}
	h.cfg.Logger.Info("run is taken away", "run", r.run.ID, "reason", m.Reason)
	h.forget(r) // at once: it may be assigned again
	r.post(r.drop)
}

// with has something done to a run that is held.
func (h *host) with(number uint64, f func(*live)) {
	h.mu.Lock()
	r := h.runs[number]
	h.mu.Unlock()
	if r != nil {
		r.post(func() { f(r) })
	}
}

// assign takes a run.
func (h *host) assign(a *Assign) {
	def := h.defs[Workflow{a.Run.Type, a.Run.Version}]
	h.mu.Lock()
	r := h.runs[a.Run.Number]
	closing := h.closing
	h.mu.Unlock()
	if r != nil {
		if r.postOr(func() { r.assignedAgain(a) }, func() { h.assign(a) }) {
			return
		}
		h.forget(r) // it is about to
	}
	if def == nil || closing {
		h.send(Reply{Release: &Release{a.Run.Number}})
		h.send(Reply{Credits: 1})
		return
	}
	r = newLive(h, def, a)
	h.mu.Lock()
	h.runs[a.Run.Number] = r
	h.stats.held.Add(1)
	h.mu.Unlock()
	r.post(func() { r.assigned(a) })
	h.evict()
}

// evict gives back the runs that were not used for longest, so that there is room for
// others: an eighth of the cache.
func (h *host) evict() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n := len(h.runs) - (h.cfg.CacheSize - max(1, h.cfg.CacheSize/8)); n > 0; n-- {
		last := h.idle.Back()
		if last == nil {
			return
		}
		r := h.idle.Remove(last).(*live)
		r.place = nil
		r.post(func() { r.evicted = true })
	}
}

// rests notes that a run waits for an entry.
func (h *host) rests(r *live) {
	h.mu.Lock()
	if r.place == nil && !r.gone {
		r.place = h.idle.PushFront(r)
	}
	h.mu.Unlock()
	h.evict()
}

// wakes notes that it does not.
func (h *host) wakes(r *live) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.place != nil {
		h.idle.Remove(r.place)
		r.place = nil
	}
}

// forget takes a run out.
func (h *host) forget(r *live) {
	h.wakes(r)
	h.mu.Lock()
	if h.runs[r.run.Number] == r {
		delete(h.runs, r.run.Number)
		h.stats.held.Add(-1)
	}
	h.emptiedLocked()
	h.mu.Unlock()
}
