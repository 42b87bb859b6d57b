module github.com/ankurah/ankurah-go/goapp

go 1.26

require (
	github.com/ankurah/ankurah-go v0.0.0
	github.com/maxence-charriere/go-app/v10 v10.1.11
)

require (
	github.com/google/uuid v1.6.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/ankurah/ankurah-go => ../
