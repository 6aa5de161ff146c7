package engine

import (
	"fmt"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
)

// BenchmarkList looks at as many runs as one call does, of which none matches; and finds
// some by an attribute.
func BenchmarkList(b *testing.B) {
	var now int64
	p := newPlant(b, &now)
	p.define("order", 1)
	for at := 0; at < maxLooked; at += 100 {
		var ops []*edriv1.Op
		for i := range 100 {
			ops = append(ops, startRunOp(&edriv1.StartRun{
				Id: fmt.Sprint("o-", at+i), Type: "order", Attributes: fmt.Sprintf(`{"customer":"c-%d","total":%d}`, (at+i)%1000, at),
			}))
		}
		if r := p.do(ops...); r.Error != nil {
			b.Fatal(r.Error)
		}
	}
	p.reopen()
	for name, filter := range map[string]string{
		"none": `version = 9`, "none-by-attributes": `total < 0 or customer = "x" and rush = true or not total >= 0`, "by-attribute": `customer = "c-7"`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				v := p.core.View()
				_, _, err := List(v, filter, 1000, "")
				v.Close()
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
