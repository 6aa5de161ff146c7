package event

const (
	// MaxDataBytes is the most that an event's data may have.
	MaxDataBytes = 1 << 20
	// MaxNameBytes is the length of the longest name.
	MaxNameBytes = 255
	// MaxAttributes counts an event's attributes besides id, source, specversion and
	// type. It also bounds the work of finding a duplicate.
	MaxAttributes = 64
	// MaxAttributesBytes is what those attributes may have together, encoded.
	MaxAttributesBytes = 64 << 10
)

// Limits are what a node refuses to exceed. They may be configured downward.
type Limits struct {
	// EventData is the most bytes of one event's data.
	EventData int
	// Commit is the most bytes of one encoded commit.
	Commit int
	// Ops is the most operations of one commit.
	Ops int
	// Name is the length in bytes of the longest name.
	Name int
}

// DefaultLimits returns the limits that DESIGN sets, which are also the highest.
func DefaultLimits() Limits {
	return Limits{EventData: MaxDataBytes, Commit: 4 << 20, Ops: 1000, Name: MaxNameBytes}
}
