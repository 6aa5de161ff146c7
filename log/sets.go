package log

import (
	"slices"

	"github.com/edri-io/edri/event"
)

// union finds what any of its lists holds. The lists are a heap by what they
// found last, so that a prefix of many types costs their logarithm.
type union struct {
	lists   []*listReader // until started in any order, then a heap of those not at their end
	reverse bool
	started bool
}

func (u *union) seek(p event.Position) (event.Position, error) {
	if !u.started {
		u.started = true
		if err := u.start(p); err != nil {
			return 0, err
		}
	}
	for len(u.lists) > 0 && u.before(u.lists[0].at, p) {
		if err := u.advance(p); err != nil {
			return 0, err
		}
	}
	if len(u.lists) == 0 {
		return 0, nil
	}
	return u.lists[0].at, nil
}

// start seeks in every list and makes the heap.
func (u *union) start(p event.Position) (err error) {
	live := u.lists[:0]
	for _, l := range u.lists {
		if l.at, err = l.seek(p); err != nil {
			return err
		}
		if l.at != 0 {
			live = append(live, l)
		}
	}
	u.lists = live
	for i := len(live)/2 - 1; i >= 0; i-- {
		u.sink(i)
	}
	return nil
}

// advance moves the first list to p and puts it in its place.
func (u *union) advance(p event.Position) (err error) {
	first := u.lists[0]
	if first.at, err = first.seek(p); err != nil {
		return err
	}
	if first.at == 0 {
		n := len(u.lists) - 1
		u.lists[0], u.lists = u.lists[n], u.lists[:n]
	}
	if len(u.lists) > 0 {
		u.sink(0)
	}
	return nil
}

func (u *union) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(u.lists) {
			return
		}
		if right := child + 1; right < len(u.lists) && u.before(u.lists[right].at, u.lists[child].at) {
			child = right
		}
		if !u.before(u.lists[child].at, u.lists[i].at) {
			return
		}
		u.lists[i], u.lists[child] = u.lists[child], u.lists[i]
		i = child
	}
}

func (u *union) before(a, b event.Position) bool {
	if u.reverse {
		return a > b
	}
	return a < b
}

func (u *union) size() (uint64, error) {
	total := uint64(0)
	for _, l := range u.lists {
		n, err := l.size()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// intersection finds what all of its finders hold. The rarest leads and the
// others skip to what it finds.
type intersection struct {
	finders []finder
}

// intersect returns what finds the positions that all finders hold.
func intersect(finders []finder) (finder, error) {
	if len(finders) == 1 {
		return finders[0], nil
	}
	sizes := make(map[finder]uint64, len(finders))
	for _, f := range finders {
		n, err := f.size()
		if err != nil {
			return nil, err
		}
		sizes[f] = n
	}
	slices.SortStableFunc(finders, func(a, b finder) int {
		switch {
		case sizes[a] < sizes[b]:
			return -1
		case sizes[a] > sizes[b]:
			return 1
		}
		return 0
	})
	return &intersection{finders: finders}, nil
}

func (x *intersection) seek(p event.Position) (event.Position, error) {
	for agreed := 0; agreed < len(x.finders); {
		for i, f := range x.finders {
			found, err := f.seek(p)
			if err != nil || found == 0 {
				return 0, err
			}
			if found != p {
				agreed, p = 0, found
				if i > 0 {
					break // the rarest leads again
				}
			}
			agreed++
		}
	}
	return p, nil
}

func (x *intersection) size() (uint64, error) { return x.finders[0].size() }
