BEGIN TRANSACTION;
CREATE TABLE linewright_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT linewright_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "linewright_alembic_version" VALUES('0001');
CREATE TABLE lw_champions (
	line VARCHAR(48) NOT NULL, 
	champion INTEGER NOT NULL, 
	previous INTEGER, 
	revision INTEGER NOT NULL, 
	CONSTRAINT pk_lw_champions PRIMARY KEY (line), 
	CONSTRAINT fk_lw_champions_line_champion FOREIGN KEY(line, champion) REFERENCES lw_models (line, version), 
	CONSTRAINT fk_lw_champions_line_previous FOREIGN KEY(line, previous) REFERENCES lw_models (line, version)
);
INSERT INTO "lw_champions" VALUES('press',1,NULL,1);
CREATE TABLE lw_decisions (
	id INTEGER NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	version INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_lw_decisions PRIMARY KEY (id), 
	CONSTRAINT fk_lw_decisions_line_version FOREIGN KEY(line, version) REFERENCES lw_models (line, version)
);
INSERT INTO "lw_decisions" VALUES(1,'press',1,'{"accept_unmeasured":false,"action":"approve","actor":"operator","line":"press","override":false,"reason":"looks right","signature":"","time":"2026-11-22T21:39:16.494701Z","version":1}');
CREATE TABLE lw_drift_checks (
	id INTEGER NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	champion INTEGER NOT NULL, 
	verdict VARCHAR(24) NOT NULL, 
	html TEXT NOT NULL, 
	created DATETIME NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_lw_drift_checks PRIMARY KEY (id), 
	CONSTRAINT fk_lw_drift_checks_line_champion FOREIGN KEY(line, champion) REFERENCES lw_models (line, version)
);
INSERT INTO "lw_drift_checks" VALUES(1,'press',1,'drift','','2026-11-22 21:39:16.504448','{"check":1,"current":"press/v2","current_samples":40,"detail":"brightness fell","false_alarm_rate":0.05,"features":[],"horizon":20,"kind":"camera or lighting","line":"press","method":"normed Wasserstein","reference":"press/v1","reference_samples":100,"verdict":"drift"}');
CREATE TABLE lw_ingests (
	id INTEGER NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	created DATETIME NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_lw_ingests PRIMARY KEY (id)
);
CREATE TABLE lw_leases (
	line VARCHAR(48) NOT NULL, 
	token INTEGER NOT NULL, 
	holder VARCHAR(255) NOT NULL, 
	boot VARCHAR(64) NOT NULL, 
	expires DOUBLE NOT NULL, 
	CONSTRAINT pk_lw_leases PRIMARY KEY (line)
);
INSERT INTO "lw_leases" VALUES('press',1,'','4b16b84f-ec4b-4f2c-b301-383b4be84db9',2762.524184611);
CREATE TABLE lw_ledger (
	number INTEGER NOT NULL, 
	time DATETIME NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	kind VARCHAR(48) NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	data TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_lw_ledger PRIMARY KEY (number)
);
INSERT INTO "lw_ledger" VALUES(1,'2026-11-22 21:39:16.459565','','key added','operator','{"key":"0000000000000000000000000000000000000000000000000000000000000000"}','0000000000000000000000000000000000000000000000000000000000000000','6cc34fb6082d86378409bb2163641ef275060b521cecfd1e0ae18c73848560e1');
INSERT INTO "lw_ledger" VALUES(2,'2026-11-22 21:39:16.469849','press','retrain begun','operator','{"dataset":1,"key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","request":"","retrain":"r1","token":1}','6cc34fb6082d86378409bb2163641ef275060b521cecfd1e0ae18c73848560e1','79d9e69ca6088d79d88cedc4e29795d71525d76e4fe679437591277e21327093');
INSERT INTO "lw_ledger" VALUES(3,'2026-11-22 21:39:16.480453','press','sealed split looked at','system','{"dataset":1,"number":1,"split":"test","subject":"r1"}','79d9e69ca6088d79d88cedc4e29795d71525d76e4fe679437591277e21327093','36eb3e7accd6ba362b5d1b1cc313a9f96f8b1bf40841312ebd21d3fcfb736e08');
INSERT INTO "lw_ledger" VALUES(4,'2026-11-22 21:39:16.485107','press','model registered','operator','{"dataset":1,"detector":"memory-bank","files":{"detector.json":"0000000000000000000000000000000000000000000000000000000000000000"},"mlflow_run":"run","record_sha256":"60154f774019ade941e5bb7d3b566b99c133be5149d4bc0f33015f044a22021b","retrain":"r1","version":1}','36eb3e7accd6ba362b5d1b1cc313a9f96f8b1bf40841312ebd21d3fcfb736e08','78ba7a7c1a533332f7cd188ef56a03b3341004bc3178a358f3237a7cda25221d');
INSERT INTO "lw_ledger" VALUES(5,'2026-11-22 21:39:16.490762','press','retrain done','operator','{"detail":{},"retrain":"r1","state":"done"}','78ba7a7c1a533332f7cd188ef56a03b3341004bc3178a358f3237a7cda25221d','f1038bd2e9feda7e236a9a48e3cbd8c4189ff2b5c727af1a621c93fe342d1ebd');
INSERT INTO "lw_ledger" VALUES(6,'2026-11-22 21:39:16.499234','press','model approved','operator','{"after":{"champion":1,"previous":null},"before":{"champion":null,"previous":null},"decision":{"accept_unmeasured":false,"action":"approve","actor":"operator","line":"press","override":false,"reason":"looks right","signature":"","time":"2026-11-22T21:39:16.494701Z","version":1}}','f1038bd2e9feda7e236a9a48e3cbd8c4189ff2b5c727af1a621c93fe342d1ebd','b723d04000cf7119bc18401c0ce56c9b9daeded5ded793bc0095e959ffa80aec');
INSERT INTO "lw_ledger" VALUES(7,'2026-11-22 21:39:16.503574','press','samples scored','system','{"count":1,"model_version":1,"sha256":"42cbcffe2d944f628632434685db9ec48d1bc5b3e5be1d8301ce0bae454d9882"}','b723d04000cf7119bc18401c0ce56c9b9daeded5ded793bc0095e959ffa80aec','2a1f72f337679cf5a0615a16f0c3b10224e711e706f7245b367dfa0bf05482bc');
INSERT INTO "lw_ledger" VALUES(8,'2026-11-22 21:39:16.505323','press','drift checked','system','{"champion":1,"check":1,"current":"press/v2","detail":"brightness fell","drift_check":1,"kind":"camera or lighting","reference":"press/v1","verdict":"drift"}','2a1f72f337679cf5a0615a16f0c3b10224e711e706f7245b367dfa0bf05482bc','3c3d76d35a639ba19fa8930ee949ba50fd95bd2f323af5e8c67fbd62a2323c82');
INSERT INTO "lw_ledger" VALUES(9,'2026-11-22 21:39:16.511923','press','retrain requested','system','{"drift_check":1,"reason":"drift","request":"eb5cd528c4ef7a0b"}','3c3d76d35a639ba19fa8930ee949ba50fd95bd2f323af5e8c67fbd62a2323c82','6a65962ccda6958e34f6db63e0615355986929c01e07bc2099d9b406d7615038');
CREATE TABLE lw_ledger_head (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_lw_ledger_head PRIMARY KEY (id)
);
INSERT INTO "lw_ledger_head" VALUES(1,9,'6a65962ccda6958e34f6db63e0615355986929c01e07bc2099d9b406d7615038');
CREATE TABLE lw_looks (
	line VARCHAR(48) NOT NULL, 
	dataset INTEGER NOT NULL, 
	split VARCHAR(16) NOT NULL, 
	subject VARCHAR(128) NOT NULL, 
	number INTEGER NOT NULL, 
	CONSTRAINT pk_lw_looks PRIMARY KEY (line, dataset, split, subject)
);
INSERT INTO "lw_looks" VALUES('press',1,'test','r1',1);
CREATE TABLE lw_models (
	line VARCHAR(48) NOT NULL, 
	version INTEGER NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	created DATETIME NOT NULL, 
	retrain VARCHAR(64) NOT NULL, 
	dataset INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	CONSTRAINT pk_lw_models PRIMARY KEY (line, version), 
	CONSTRAINT fk_lw_models_retrain FOREIGN KEY(retrain) REFERENCES lw_retrains (id), 
	CONSTRAINT uq_lw_models_retrain UNIQUE (retrain)
);
INSERT INTO "lw_models" VALUES('press',1,'champion','2026-11-22 21:39:16.482708','r1',1,'{"calibration":{"false_alarm_rate":0.05,"guarantee":"at most 5 % on average","high":1.1,"low":0.9,"method":"split","samples":40,"threshold":1.0},"champion_evaluation":null,"code":{},"created":"2026-11-22T21:39:16.482708Z","dataset":1,"detector":"memory-bank","evaluation":{"dataset":"press/v1","looks":1,"metrics":{"false_alarm_rate":{"high":0.1,"low":0.01,"n":100,"note":"","value":0.05},"image_auroc":{"high":0.97,"low":0.92,"n":200,"note":"","value":0.95},"latency_ms":{"high":22.0,"low":19.0,"n":200,"note":"","value":20.0}},"split":"test"},"explanations":{},"files":{"detector.json":"0000000000000000000000000000000000000000000000000000000000000000"},"folder":"press/models/r1","gate":{"champion":null,"conditions":[{"detail":"","high":null,"limit":null,"low":null,"name":"non_inferior_auroc","status":"met","value":null},{"detail":"","high":null,"limit":1000.0,"low":null,"name":"latency_ms","status":"met","value":20.0}]},"line":"press","mlflow_model":"m-1","mlflow_run":"run","mlflow_version":1,"params":{"k":3,"share":0.02},"request":"","retrain":"r1","search":{"best":{"high":null,"low":null,"number":0,"params":{"k":3},"proposed_by":"default","seconds":1.5,"state":"complete","value":0.9,"why":""},"fallbacks":0,"money":0.0,"proposals":[],"stopped_by":"budget","study":"press-1","synthetic":false,"trials":[{"high":null,"low":null,"number":0,"params":{"k":3},"proposed_by":"default","seconds":1.5,"state":"complete","value":0.9,"why":""}]},"seed":7,"status":"candidate","timings":{},"trainer":"operator","version":1}');
CREATE TABLE lw_outbox (
	id INTEGER NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	decision INTEGER NOT NULL, 
	champion INTEGER, 
	previous INTEGER, 
	settled BOOLEAN NOT NULL, 
	CONSTRAINT pk_lw_outbox PRIMARY KEY (id), 
	CONSTRAINT fk_lw_outbox_decision FOREIGN KEY(decision) REFERENCES lw_decisions (id)
);
INSERT INTO "lw_outbox" VALUES(1,'press',1,1,NULL,0);
CREATE TABLE lw_requests (
	id VARCHAR(64) NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	reason TEXT NOT NULL, 
	drift_check INTEGER, 
	created DATETIME NOT NULL, 
	retrain VARCHAR(64), 
	CONSTRAINT pk_lw_requests PRIMARY KEY (id), 
	CONSTRAINT fk_lw_requests_drift_check FOREIGN KEY(drift_check) REFERENCES lw_drift_checks (id), 
	CONSTRAINT fk_lw_requests_retrain FOREIGN KEY(retrain) REFERENCES lw_retrains (id)
);
INSERT INTO "lw_requests" VALUES('eb5cd528c4ef7a0b','press','drift',1,'2026-11-22 21:39:16.511511',NULL);
CREATE TABLE lw_retrains (
	id VARCHAR(64) NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	dataset INTEGER NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	config TEXT NOT NULL, 
	request VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	token INTEGER NOT NULL, 
	started DATETIME NOT NULL, 
	finished DATETIME, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_lw_retrains PRIMARY KEY (id)
);
INSERT INTO "lw_retrains" VALUES('r1','press','kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk',1,'operator','{"budget":8}','','done',1,'2026-11-22 21:39:16.469135','2026-11-22 21:39:16.490238','{}');
CREATE TABLE lw_stages (
	retrain VARCHAR(64) NOT NULL, 
	stage VARCHAR(48) NOT NULL, 
	data TEXT NOT NULL, 
	time DATETIME NOT NULL, 
	CONSTRAINT pk_lw_stages PRIMARY KEY (retrain, stage), 
	CONSTRAINT fk_lw_stages_retrain FOREIGN KEY(retrain) REFERENCES lw_retrains (id)
);
INSERT INTO "lw_stages" VALUES('r1','search','{"best":{"k":3}}','2026-11-22 21:39:16.475160');
CREATE TABLE lw_verdicts (
	id INTEGER NOT NULL, 
	verdict_id VARCHAR(64) NOT NULL, 
	line VARCHAR(48) NOT NULL, 
	sample VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	score DOUBLE NOT NULL, 
	threshold DOUBLE NOT NULL, 
	verdict VARCHAR(8) NOT NULL, 
	uncertainty DOUBLE NOT NULL, 
	model_version INTEGER NOT NULL, 
	start INTEGER, 
	"end" INTEGER, 
	overlay TEXT NOT NULL, 
	created DATETIME NOT NULL, 
	CONSTRAINT pk_lw_verdicts PRIMARY KEY (id), 
	CONSTRAINT fk_lw_verdicts_line_model_version FOREIGN KEY(line, model_version) REFERENCES lw_models (line, version), 
	CONSTRAINT uq_lw_verdicts_verdict_id UNIQUE (verdict_id)
);
INSERT INTO "lw_verdicts" VALUES(1,'v1','press','s','a/b.png',1.5,1.0,'NG',0.1,1,NULL,NULL,'','2026-11-22 21:39:16.502658');
CREATE INDEX ix_lw_ledger_line_number ON lw_ledger (line, number);
CREATE INDEX ix_lw_retrains_line_key ON lw_retrains (line, "key");
CREATE INDEX ix_lw_retrains_line_state ON lw_retrains (line, state);
CREATE INDEX ix_lw_models_line_status ON lw_models (line, status);
CREATE INDEX ix_lw_decisions_line_version ON lw_decisions (line, version);
CREATE INDEX ix_lw_outbox_settled_id ON lw_outbox (settled, id);
CREATE INDEX ix_lw_verdicts_line_id ON lw_verdicts (line, id);
CREATE INDEX ix_lw_verdicts_line_model_version_verdict ON lw_verdicts (line, model_version, verdict);
CREATE INDEX ix_lw_verdicts_line_sample ON lw_verdicts (line, sample);
CREATE INDEX ix_lw_ingests_line_id ON lw_ingests (line, id);
CREATE INDEX ix_lw_drift_checks_line_champion ON lw_drift_checks (line, champion);
CREATE INDEX ix_lw_requests_line ON lw_requests (line);
COMMIT;
