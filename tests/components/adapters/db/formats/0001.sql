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
INSERT INTO "lw_decisions" VALUES(1,'press',1,'{"accept_unmeasured":false,"action":"approve","actor":"operator","line":"press","override":false,"reason":"looks right","signature":"","time":"2026-11-22T21:46:23.890671Z","version":1}');
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
INSERT INTO "lw_drift_checks" VALUES(1,'press',1,'drift','','2026-11-22 21:46:23.906695','{"check":1,"current":"press/v2","current_samples":40,"detail":"brightness fell","false_alarm_rate":0.05,"features":[],"horizon":20,"kind":"camera or lighting","line":"press","method":"normed Wasserstein","reference":"press/v1","reference_samples":100,"verdict":"drift"}');
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
INSERT INTO "lw_leases" VALUES('press',1,'','4b16b84f-ec4b-4f2c-b301-383b4be84db9',3189.92503345);
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
INSERT INTO "lw_ledger" VALUES(1,'2026-11-22 21:46:23.855381','','key added','operator','{"key":"0000000000000000000000000000000000000000000000000000000000000000"}','0000000000000000000000000000000000000000000000000000000000000000','ad3cd8aaa6d5346c0b66a27d8f34d6eca07bf6713da6c6f9247f83cc33e6a69e');
INSERT INTO "lw_ledger" VALUES(2,'2026-11-22 21:46:23.860867','press','retrain begun','operator','{"dataset":1,"key":"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk","request":"","retrain":"r1","token":1}','ad3cd8aaa6d5346c0b66a27d8f34d6eca07bf6713da6c6f9247f83cc33e6a69e','555ceff11938112b9d67613f967f0e6cee41e2f223ef9114be9bced161fb0dc2');
INSERT INTO "lw_ledger" VALUES(3,'2026-11-22 21:46:23.876484','press','sealed split looked at','system','{"dataset":1,"number":1,"split":"test","subject":"r1"}','555ceff11938112b9d67613f967f0e6cee41e2f223ef9114be9bced161fb0dc2','1cc8aafcde5f59e2c646487a0ada4ecf67672b154c5320f1d9a4d9325af3ae7a');
INSERT INTO "lw_ledger" VALUES(4,'2026-11-22 21:46:23.881058','press','model registered','operator','{"dataset":1,"detector":"memory-bank","files":{"detector.json":"0000000000000000000000000000000000000000000000000000000000000000"},"mlflow_run":"run","record_sha256":"9c02c6dd074d17d0861c5e8e537d4934c2c9a965b067488616ebb7da27976abc","retrain":"r1","version":1}','1cc8aafcde5f59e2c646487a0ada4ecf67672b154c5320f1d9a4d9325af3ae7a','1080bcf19592a5217e9b66d3d0c7c934b4039f04e364c722377a9c5e6f0e8a07');
INSERT INTO "lw_ledger" VALUES(5,'2026-11-22 21:46:23.888110','press','retrain done','operator','{"detail":{},"retrain":"r1","state":"done"}','1080bcf19592a5217e9b66d3d0c7c934b4039f04e364c722377a9c5e6f0e8a07','415f4010c307d1de0cdee6d672fc1fa44d6c88ec99f07fb2da9eaacd875a67bb');
INSERT INTO "lw_ledger" VALUES(6,'2026-11-22 21:46:23.899206','press','model approved','operator','{"after":{"champion":1,"previous":null},"before":{"champion":null,"previous":null},"decision":{"accept_unmeasured":false,"action":"approve","actor":"operator","line":"press","override":false,"reason":"looks right","signature":"","time":"2026-11-22T21:46:23.890671Z","version":1}}','415f4010c307d1de0cdee6d672fc1fa44d6c88ec99f07fb2da9eaacd875a67bb','9f2096ed109cd682fd232427a51bd1bd7e7fd9275fbfee662120f876756b5be1');
INSERT INTO "lw_ledger" VALUES(7,'2026-11-22 21:46:23.903894','press','samples scored','system','{"count":1,"model_version":1,"sha256":"42cbcffe2d944f628632434685db9ec48d1bc5b3e5be1d8301ce0bae454d9882"}','9f2096ed109cd682fd232427a51bd1bd7e7fd9275fbfee662120f876756b5be1','c5c9428468e5f5a481c12e1c7005701becce39c43450d65863d7cfae4a22a2bc');
INSERT INTO "lw_ledger" VALUES(8,'2026-11-22 21:46:23.907626','press','drift checked','system','{"champion":1,"check":1,"current":"press/v2","detail":"brightness fell","drift_check":1,"kind":"camera or lighting","reference":"press/v1","verdict":"drift"}','c5c9428468e5f5a481c12e1c7005701becce39c43450d65863d7cfae4a22a2bc','5543542a13f621267e4ef6d5293c69d1d1060b7f420fe086ea3e97e49722cc2d');
INSERT INTO "lw_ledger" VALUES(9,'2026-11-22 21:46:23.910438','press','retrain requested','system','{"drift_check":1,"reason":"drift","request":"3300038bb3b6502f"}','5543542a13f621267e4ef6d5293c69d1d1060b7f420fe086ea3e97e49722cc2d','73c5275f2c5f7871ee130d6a38cfc9efc55031e60027ee32a03b0b7cde5a80c6');
CREATE TABLE lw_ledger_head (
	id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_lw_ledger_head PRIMARY KEY (id)
);
INSERT INTO "lw_ledger_head" VALUES(1,9,'73c5275f2c5f7871ee130d6a38cfc9efc55031e60027ee32a03b0b7cde5a80c6');
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
INSERT INTO "lw_models" VALUES('press',1,'champion','2026-11-22 21:46:23.878727','r1',1,'{"calibration":{"false_alarm_rate":0.05,"guarantee":"at most 5 % on average","high":1.1,"low":0.9,"method":"split","samples":40,"threshold":1.0},"champion_evaluation":null,"code":{},"created":"2026-11-22T21:46:23.878727Z","dataset":1,"detector":"memory-bank","evaluation":{"dataset":"press/v1","looks":1,"metrics":{"false_alarm_rate":{"high":0.1,"low":0.01,"n":100,"note":"","value":0.05},"image_auroc":{"high":0.97,"low":0.92,"n":200,"note":"","value":0.95},"latency_ms":{"high":22.0,"low":19.0,"n":200,"note":"","value":20.0}},"split":"test"},"explanations":{},"files":{"detector.json":"0000000000000000000000000000000000000000000000000000000000000000"},"folder":"press/models/r1","gate":{"champion":null,"conditions":[{"detail":"","high":null,"limit":null,"low":null,"name":"non_inferior_auroc","status":"met","value":null},{"detail":"","high":null,"limit":1000.0,"low":null,"name":"latency_ms","status":"met","value":20.0}]},"line":"press","mlflow_model":"m-1","mlflow_run":"run","mlflow_version":1,"params":{"k":3,"share":0.02},"request":"","retrain":"r1","search":{"best":{"high":null,"low":null,"number":0,"params":{"k":3},"proposed_by":"default","seconds":1.5,"state":"complete","value":0.9,"why":""},"fallbacks":0,"money":0.0,"proposals":[],"stopped_by":"budget","study":"press-1","synthetic":false,"trials":[{"high":null,"low":null,"number":0,"params":{"k":3},"proposed_by":"default","seconds":1.5,"state":"complete","value":0.9,"why":""}]},"seed":7,"status":"candidate","timings":{},"trainer":"operator","version":1}');
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
INSERT INTO "lw_requests" VALUES('3300038bb3b6502f','press','drift',1,'2026-11-22 21:46:23.910043',NULL);
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
INSERT INTO "lw_retrains" VALUES('r1','press','kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk',1,'operator','{"budget":8}','','done',1,'2026-11-22 21:46:23.860268','2026-11-22 21:46:23.887534','{}');
CREATE TABLE lw_stages (
	retrain VARCHAR(64) NOT NULL, 
	stage VARCHAR(48) NOT NULL, 
	data TEXT NOT NULL, 
	time DATETIME NOT NULL, 
	CONSTRAINT pk_lw_stages PRIMARY KEY (retrain, stage), 
	CONSTRAINT fk_lw_stages_retrain FOREIGN KEY(retrain) REFERENCES lw_retrains (id)
);
INSERT INTO "lw_stages" VALUES('r1','search','{"best":{"k":3}}','2026-11-22 21:46:23.871600');
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
INSERT INTO "lw_verdicts" VALUES(1,'v1','press','s','a/b.png',1.5,1.0,'NG',0.1,1,NULL,NULL,'','2026-11-22 21:46:23.902722');
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
