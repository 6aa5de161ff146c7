package timers

import "github.com/edri-io/edri/consensus"

// maxCounted is up to how many timers Stats counts.
const maxCounted = 100_000

// Stats are how many timers wait.
type Stats struct {
	// Pending are those in the table, counted up to 100,000; Overdue those of them that are
	// due.
	Pending, Overdue int
}

// Count counts the timers of a view at a time of the cluster.
func Count(v *consensus.View, now int64) (s Stats, err error) {
	it := v.Scan(name, nil, nil, false)
	defer it.Close()
	for s.Pending < maxCounted && it.Next() {
		t, _, _, err := decodeRow(it.Key(), it.Value())
		if err != nil {
			return s, err
		}
		if s.Pending++; t.Due <= now {
			s.Overdue++
		}
	}
	return s, it.Err()
}
