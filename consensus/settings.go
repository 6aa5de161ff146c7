package consensus

import (
	"fmt"
	"math"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// The replicated settings. Nodes agree on them by commits; the configuration of
// the first leader of all gives those that a cluster begins with.
const (
	// SettingWindow is W, the number of events within which (source, id) is
	// unique.
	SettingWindow = "dedup_window"
	// SettingSegmentBytes is how many bytes of records fill a segment of the
	// journal. A change holds from the next event on.
	SettingSegmentBytes = "segment_bytes"
	// SettingRetentionAge is how old an event may become, in nanoseconds; 0: any.
	SettingRetentionAge = "retention_age"
	// SettingRetentionBytes is how much the journal's segments may hold in bytes
	// of records; 0: any.
	SettingRetentionBytes = "retention_bytes"
	// SettingRetentionEvents is how many events stay; 0: all.
	SettingRetentionEvents = "retention_events"
)

// settings are all that there are, with their bounds.
var settings = map[string]struct{ least, most uint64 }{
	SettingWindow:          {1, MaxWindow},
	SettingSegmentBytes:    {1, 1 << 40},
	SettingRetentionAge:    {0, math.MaxInt64},
	SettingRetentionBytes:  {0, math.MaxInt64},
	SettingRetentionEvents: {0, math.MaxInt64},
}

// SettingCommit returns the commit of a replicated setting. An unknown name or a
// value out of range fails with invalid.
func SettingCommit(name string, value uint64, waiter uint64) []byte {
	body := wire.AppendBytes(nil, 1, name)
	body = wire.AppendUint(body, 2, value)
	return internalCommit(opSetting, body, waiter)
}

func (c *Core) set(name string, value uint64) error {
	bounds, known := settings[name]
	switch {
	case !known:
		return event.Errorf(event.CodeInvalid, "unknown setting %q", name)
	case value < bounds.least || value > bounds.most:
		return event.Errorf(event.CodeInvalid, "%s is %d, must be %d to %d", name, value, bounds.least, bounds.most)
	}
	c.put(c.tables.settings, []byte(name), be8(value))
	switch name {
	case SettingWindow:
		c.window.setSize(value)
	case SettingSegmentBytes:
		c.segmentBytes = int64(value)
	}
	return nil
}

// loadSetting reads a setting of the state, or returns other where it has none.
func (c *Core) loadSetting(name string, other uint64) (uint64, error) {
	row, err := c.tx.Get(c.tables.settings, []byte(name))
	if err != nil {
		return 0, fmt.Errorf("read setting: %w", err)
	}
	if row == nil {
		return other, nil
	}
	return decodeSetting(name, row)
}

func decodeSetting(name string, row []byte) (uint64, error) {
	bounds := settings[name]
	if len(row) != 8 || be64(row) < bounds.least || be64(row) > bounds.most {
		return 0, fmt.Errorf("%w: setting %s: %x", errRow, name, row)
	}
	return be64(row), nil
}

// Setting returns a replicated setting and whether it was ever set.
func (v *View) Setting(name string) (value uint64, set bool, err error) {
	row, err := v.state.Get(v.core.tables.settings, []byte(name))
	if err != nil {
		return 0, false, fmt.Errorf("read setting: %w", err)
	}
	if row == nil {
		return 0, false, nil
	}
	value, err = decodeSetting(name, row)
	return value, true, err
}
