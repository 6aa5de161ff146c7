package consensus

import (
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

func (c *Core) openSession() (opResult, error) {
	if c.sessions.count >= MaxSessions {
		return opResult{}, tooMany("sessions", c.sessions.count, MaxSessions)
	}
	s := &session{id: c.nextIncarnation(), used: c.meta.Stamp}
	c.sessions.add(s)
	c.sessions.touch(s)
	return opResult{kind: resultSessionOpened, session: s.id}, nil
}

func tooMany(what string, n, most int) error {
	err := event.Errorf(event.CodeQuotaExceeded, "%d %s are open, the most there may be", n, what)
	err.Size, err.Max = int64(n), int64(most)
	return err
}

func (c *Core) openProducer(body []byte) (opResult, error) {
	name, err := decodeProducer(body)
	if err != nil {
		return opResult{}, fmt.Errorf("%w: open_producer: %w", ErrUndecodable, err)
	}
	row, err := c.tx.Get(c.tables.producers, name)
	if err != nil {
		return opResult{}, fmt.Errorf("read producer %q: %w", name, err)
	}
	if row == nil {
		if n := c.sessions.producers(); n >= MaxProducers {
			return opResult{}, tooMany("producers", n, MaxProducers)
		}
		s := &session{id: c.nextIncarnation(), producer: string(name), used: c.meta.Stamp}
		c.sessions.add(s)
		c.sessions.touch(s)
		c.put(c.tables.producers, []byte(s.producer), be8(s.id))
		return opResult{kind: resultProducerOpened, session: s.id}, nil
	}
	if len(row) != 8 || c.sessions.byID[be64(row)] == nil {
		return opResult{}, fmt.Errorf("%w: producer %q has no session", store.ErrCorrupt, name)
	}
	s := c.sessions.byID[be64(row)]
	return opResult{kind: resultProducerOpened, session: s.id, last: s.last}, nil
}

func (c *Core) closeSession(s *session) (opResult, error) {
	if s == nil {
		return opResult{}, fmt.Errorf("%w: close_session without a session", ErrUndecodable)
	}
	if s.producer != "" {
		return opResult{}, event.Errorf(event.CodeInvalid, "session %d belongs to a producer and does not close", s.id)
	}
	c.sessions.remove(s)
	return opResult{}, nil
}
