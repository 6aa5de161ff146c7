package router

import "github.com/edri-io/edri/event"

// sweep has some of the rows deleted that deleted subscriptions and earlier generations
// have left, a bounded number at each tick.
func (d *dispatcher) sweep() error {
	if !d.garbage || d.sweeping {
		return nil
	}
	v := d.node.View()
	defer v.Close()
	number, found, err := GarbageOf(v)
	if err != nil {
		return err
	}
	if d.garbage = found; !found {
		return nil
	}
	d.sweeping = true
	d.node.Enqueue(opSweep, encodeSweep(number, maxSweep), func(err *event.Error) {
		d.inbox.add(outcome{failed: err != nil, then: func() { d.sweeping = false }})
	})
	return nil
}
